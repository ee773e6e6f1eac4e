//! The blacklist (黑名单): listed, added to, removed from.

use super::{
    answer::{Empty, OpenidPage, check_count},
    endpoint::endpoint,
    errcode,
};

endpoint! {
    /// Gives one page of the blacklist, up to 1,000 openids.
    ///
    /// The answer's `next_openid` goes on as the next call's `begin_openid`. `blacklisted()` goes
    /// through all pages.
    /// Source: 获取公众号的黑名单列表 (getBlacklist); a page had 10,000 before.
    ///
    /// ```rhai
    /// let page = blacklist::list();
    /// print(page.total);
    /// ```
    "blacklist::list" = read POST "/cgi-bin/tags/members/getblacklist";
    request List {
        /// The last openid of the page before; from the start when absent.
        begin_openid: Option<String>,
    }
    answer OpenidPage;
    cursor begin_openid -> next_openid, page 1_000;
    records data.openid;
    verify check_count;
    attributes {
        errors: &[-1, 40001, 40003, 49003],
    }
}

endpoint! {
    /// Puts followers on the blacklist: they can send nothing to the account and get nothing from it.
    ///
    /// One call takes 20 openids (40032); a longer list is cut into calls. It is defined for
    /// followers only (40003).
    /// Source: 拉黑用户 (batchBlacklist).
    ///
    /// ```rhai
    /// let openids = user::list().data.openid;
    /// blacklist::add([openids[0], openids[1]]);
    /// ```
    "blacklist::add" = write POST "/cgi-bin/tags/members/batchblacklist";
    request Add {
        /// The followers' openids.
        openid_list: Vec<String>,
    }
    answer Empty;
    list openid_list: String, 20 else errcode::INVALID_OPENID_LIST_SIZE;
    attributes {
        errors: &[
            -1, 40001, 40003, 40032, 41001, 42001, 44002, 47001, 48001, 49003, 50002, 61016, 268_487_001,
        ],
    }
}

endpoint! {
    /// Takes people off the blacklist.
    ///
    /// One call takes 20 openids (40032); a longer list is cut into calls.
    /// Source: 取消拉黑用户 (batchUnblacklist).
    ///
    /// ```rhai
    /// let openids = user::list().data.openid;
    /// blacklist::remove([openids[0]]);
    /// ```
    "blacklist::remove" = write POST "/cgi-bin/tags/members/batchunblacklist";
    request Remove {
        /// The openids to be released.
        openid_list: Vec<String>,
    }
    answer Empty;
    list openid_list: String, 20 else errcode::INVALID_OPENID_LIST_SIZE;
    attributes {
        errors: &[40001, 40003, 40032],
    }
}
