//! Every other path of the platform, for `api::get` and `api::post`.
//!
//! A path that is declared keeps what its declaration says of sending it twice; one that is not is
//! taken for what is safe: a write that must never be sent twice, unless it is known to read. A GET may
//! change the account as well: `/cgi-bin/menu/delete` is one.

use super::{CallKind, Credential, InDryRun, Method, Permission, Resend, Spec, all};
use crate::base::lock;
use std::{collections::BTreeMap, sync::Mutex};

/// GETs that change nothing, by the platform's own documents. `/cgi-bin/ticket/getticket` is not among them: a new ticket
/// may void the one that other programs use.
const GETS_THAT_READ: [&str; 19] = [
    "/card/getcolors",
    "/cgi-bin/customservice/getkflist",
    "/cgi-bin/customservice/getonlinekflist",
    "/cgi-bin/draft/count",
    "/cgi-bin/get_current_autoreply_info",
    "/cgi-bin/get_current_selfmenu_info",
    "/cgi-bin/material/get_materialcount",
    "/cgi-bin/media/get",
    "/cgi-bin/media/get/jssdk",
    "/cgi-bin/menu/get",
    "/cgi-bin/template/get_all_private_template",
    "/cgi-bin/template/get_industry",
    "/customservice/kfsession/getsession",
    "/customservice/kfsession/getsessionlist",
    "/customservice/kfsession/getwaitcase",
    "/wxaapi/newtmpl/getcategory",
    "/wxaapi/newtmpl/getpubtemplatekeywords",
    "/wxaapi/newtmpl/getpubtemplatetitles",
    "/wxaapi/newtmpl/gettemplate",
];

/// POSTs that change nothing, by the platform's own documents.
const POSTS_THAT_READ: [&str; 22] = [
    "/card/batchget",
    "/card/code/decrypt",
    "/card/code/get",
    "/card/get",
    "/card/user/getcardlist",
    "/cgi-bin/comment/list",
    "/cgi-bin/draft/batchget",
    "/cgi-bin/draft/get",
    "/cgi-bin/freepublish/batchget",
    "/cgi-bin/freepublish/get",
    "/cgi-bin/freepublish/getarticle",
    "/cgi-bin/groups/getid",
    "/cgi-bin/material/batchget_material",
    "/cgi-bin/material/get_material",
    "/cgi-bin/menu/trymatch",
    "/cgi-bin/message/mass/get",
    "/cgi-bin/message/mass/speed/get",
    "/datacube/getarticlesummary",
    "/datacube/getupstreammsg",
    "/datacube/getusercumulate",
    "/datacube/getuserread",
    "/datacube/getusersummary",
];

/// Paths that are remembered; a script that asks for more makes them up.
const MAX_PATHS: usize = 1_000;

/// Why a path can't be called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndeclaredError {
    /// It is no path.
    #[error("`{0}` is no path: it begins with /, has neither host nor query, and no empty, `.` or `..` part")]
    Path(String),
    /// Its own function knows how to call it.
    #[error("{0} is called by {1}, which keeps its secret")]
    Declared(String, &'static str),
    /// The other method belongs to it.
    #[error("{0} is a {1}")]
    Method(String, &'static str),
    /// It takes a file.
    #[error("{0} takes a file: call {1}")]
    Upload(String, &'static str),
    /// Too many different paths.
    #[error("a script calls at most {MAX_PATHS} different paths")]
    TooMany,
}

/// What is known of a path before it is called.
///
/// # Errors
/// When it is no path, or must be called otherwise.
pub fn spec(method: Method, path: &str) -> Result<&'static Spec, UndeclaredError> {
    static KNOWN: Mutex<BTreeMap<(&'static str, String), &'static Spec>> = Mutex::new(BTreeMap::new());
    // A part that a server may drop would hide which path it is.
    let has_plain_parts =
        || path[1..].split('/').all(|part| !part.is_empty() && part.bytes().any(|byte| byte != b'.'));
    let is_path = path.starts_with('/')
        && has_plain_parts()
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\".contains(&byte));
    if !is_path {
        return Err(UndeclaredError::Path(path.to_owned()));
    }
    let declared = all().into_iter().find(|spec| spec.path == path);
    if let Some(spec) = declared {
        if spec.credential != Credential::AccessToken {
            return Err(UndeclaredError::Declared(path.to_owned(), spec.name));
        }
        if spec.method == Method::Upload {
            return Err(UndeclaredError::Upload(path.to_owned(), spec.name));
        }
        if spec.method != method {
            return Err(UndeclaredError::Method(path.to_owned(), spec.method.as_str()));
        }
    }
    let mut known = lock(&KNOWN);
    let key = (method.as_str(), path.to_owned());
    if let Some(spec) = known.get(&key) {
        return Ok(spec);
    }
    if known.len() == MAX_PATHS {
        return Err(UndeclaredError::TooMany);
    }
    let reads = match method {
        Method::Get => GETS_THAT_READ.contains(&path),
        Method::Post | Method::Upload => POSTS_THAT_READ.contains(&path),
    };
    let (kind, resend) = match declared {
        Some(spec) => (spec.kind, spec.resend),
        None if reads => (CallKind::Read, Resend::Idempotent),
        None => (CallKind::Write, Resend::Never),
    };
    // Kept for the process's life: calls are counted under it, and there are few.
    let spec: &'static Spec = Box::leak(Box::new(Spec {
        name: if method == Method::Get { "api::get" } else { "api::post" },
        method,
        path: Box::leak(path.to_owned().into_boxed_str()),
        kind,
        in_dry_run: match kind {
            CallKind::Read => InDryRun::Sent,
            CallKind::Write => InDryRun::NotSent,
        },
        resend,
        permission: Permission::Any,
        max_answer: 32 << 20,
        ..Spec::COMMON
    }));
    known.insert(key, spec);
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undeclared_path_is_treated_as_the_safe_kind() {
        let known = |method, path| spec(method, path).map(|spec| (spec.kind, spec.resend));
        assert_eq!(known(Method::Get, "/cgi-bin/menu/get"), Ok((CallKind::Read, Resend::Idempotent)));
        assert_eq!(known(Method::Get, "/cgi-bin/menu/delete"), Ok((CallKind::Write, Resend::Never)));
        assert_eq!(known(Method::Post, "/cgi-bin/menu/create"), Ok((CallKind::Write, Resend::Never)));
        assert_eq!(known(Method::Post, "/datacube/getusersummary"), Ok((CallKind::Read, Resend::Idempotent)));
        let attach = known(Method::Post, "/cgi-bin/tags/members/batchtagging");
        assert_eq!(attach, Ok((CallKind::Write, Resend::Idempotent)));
        assert_eq!(known(Method::Post, "/cgi-bin/tags/create"), Ok((CallKind::Write, Resend::VerifyFirst)));
    }

    #[test]
    fn path_with_dot_segments_is_refused() {
        for path in
            ["/cgi-bin/x/../menu/delete", "/cgi-bin/./menu/delete", "/..", "/cgi-bin/%2e%2e/x", "/a/..."]
        {
            assert_eq!(spec(Method::Get, path).unwrap_err(), UndeclaredError::Path(path.to_owned()));
        }
    }

    #[test]
    fn invalid_or_secret_path_is_refused() {
        for path in [
            "cgi-bin/x",
            "//host/x",
            "https://host/x",
            "/x?y=1",
            "/x#y",
            "/a b",
            "/%2e",
            "",
            "/",
            "/a/",
            "/a//b",
        ] {
            assert_eq!(spec(Method::Get, path).unwrap_err(), UndeclaredError::Path(path.to_owned()));
        }
        let error = spec(Method::Post, "/cgi-bin/stable_token").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/cgi-bin/stable_token is called by token::stable, which keeps its secret"
        );
        assert_eq!(
            spec(Method::Get, "/cgi-bin/tags/create").unwrap_err().to_string(),
            "/cgi-bin/tags/create is a POST"
        );
    }
}
