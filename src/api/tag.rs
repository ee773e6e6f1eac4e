//! Tags (标签): made, listed, renamed, deleted, and put on followers.

pub mod rules;

use super::{
    Resend,
    answer::{Empty, OpenidPage, check_count},
    endpoint::endpoint,
    errcode,
};
use rules::FIRST_ID;
use serde::{Deserialize, Serialize};

/// A tag as `tags/create` and `tags/get` answer it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tag {
    /// Given by the platform, from 100; 0, 1 and 2 are its own.
    pub id: i64,
    /// At most 30 bytes of UTF-8.
    pub name: String,
    /// How many followers have it; may lag behind. `tags/create` does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

/// The answer of `tags/get`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Tags {
    /// The starred group first.
    pub tags: Vec<Tag>,
}

/// The answer of `tags/getidlist`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TagIds {
    /// The ids of the follower's tags.
    pub tagid_list: Vec<i64>,
}

fn is_of_asked(asked: &Create, tag: &Tag) -> Result<(), String> {
    if tag.name != asked.name {
        return Err(format!("it is about another tag than {:?}", asked.name));
    }
    if tag.id < FIRST_ID {
        return Err(format!("the new tag has the id {}, and ids begin at {FIRST_ID}", tag.id));
    }
    Ok(())
}

endpoint! {
    /// Makes a tag and gives its id and name.
    ///
    /// An account has at most 100 tags (45056); a name is at most 30 bytes of UTF-8, which is ten
    /// Chinese characters (45158), and no two tags share one (45157).
    /// Source: 创建标签 (createTag).
    ///
    /// ```rhai
    /// let made = tag::create("广东");
    /// print(made.id);
    /// ```
    "tag::create" = write POST "/cgi-bin/tags/create";
    request Create {
        /// The tag's name, at most 30 bytes of UTF-8.
        name: String,
    }
    answer Tag;
    verify is_of_asked;
    attributes {
        resend: Resend::VerifyFirst,
        envelope: Some("tag"),
        answer_envelope: Some("tag"),
        errors: &[-1, 40001, 41001, 42001, 44002, 45009, 45056, 45157, 45158, 47001, 48001],
    }
}

endpoint! {
    /// Gives every tag of the account with its number of followers.
    ///
    /// The starred group (星标组, id 2) is always among them; counts may lag behind. An entry that can't be decoded is an
    /// error: in a list without it, its name would seem to be free.
    /// Source: 获取标签 (getTags).
    ///
    /// ```rhai
    /// for t in tag::list() {
    ///     print(`${t.id} ${t.name}: ${t.count}`);
    /// }
    /// ```
    "tag::list" = read GET "/cgi-bin/tags/get";
    request List {}
    answer Tags;
    attributes {
        errors: &[-1, 40001],
    }
}

endpoint! {
    /// Renames a tag.
    ///
    /// The platform's own tags 0, 1 and 2 can't be renamed (45058).
    /// Source: 编辑标签 (updateTag).
    ///
    /// ```rhai
    /// let made = tag::create("广东");
    /// tag::update(made, "广东人");        // a tag stands for its id
    /// ```
    "tag::update" = write POST "/cgi-bin/tags/update";
    request Update {
        /// The tag's id.
        id: i64,
        /// The new name, at most 30 bytes of UTF-8.
        name: String,
    }
    answer Empty;
    attributes {
        resend: Resend::VerifyFirst,
        envelope: Some("tag"),
        errors: &[-1, 40001, 41001, 42001, 44002, 45009, 45058, 45157, 45158, 45159, 47001, 48001],
    }
}

endpoint! {
    /// Deletes a tag and takes it off its followers.
    ///
    /// A tag with more than 100,000 followers is refused (45057): take it off some first. The
    /// platform's own tags 0, 1 and 2 can't be deleted (45058). An id is never used again.
    /// Source: 删除标签 (deleteTag).
    ///
    /// ```rhai
    /// tag::delete(tag::create("临时"));
    /// ```
    "tag::delete" = write POST "/cgi-bin/tags/delete";
    request Delete {
        /// The tag's id.
        id: i64,
    }
    answer Empty;
    attributes {
        resend: Resend::VerifyFirst,
        envelope: Some("tag"),
        errors: &[-1, 40001, 41001, 42001, 44002, 45009, 45057, 45058, 45159, 47001, 48001],
    }
}

endpoint! {
    /// Gives one page of a tag's followers, up to 10,000 openids.
    ///
    /// The last page still names its last openid as `next_openid`; the page after it has a count
    /// of 0 and nothing else. `members(tag)` goes through all pages.
    /// Source: 获取标签下粉丝列表 (getTagFans).
    ///
    /// ```rhai
    /// let page = tag::members(2);         // 星标组
    /// print(page.count);
    /// ```
    "tag::members" = read POST "/cgi-bin/user/tag/get";
    request Members {
        /// The tag's id.
        tagid: i64,
        /// The last openid of the page before; from the start when absent.
        next_openid: Option<String>,
    }
    answer OpenidPage;
    cursor next_openid -> next_openid, page 10_000;
    records data.openid;
    verify check_count;
    attributes {
        errors: &[-1, 40001, 40003, 45159],
    }
}

endpoint! {
    /// Puts a tag on followers.
    ///
    /// One call takes 50 openids (40032); a longer list is cut into calls. A follower has at most
    /// 20 tags (45059). One bad openid refuses its whole call, or the platform does the others
    /// and names it (45171): `openids([…]).tag(…)` skips and reports it, and continues.
    /// Source: 批量为用户打标签 (batchTagging).
    ///
    /// ```rhai
    /// let vip = tag::create("VIP");
    /// tag::attach(vip, user::list().data.openid);   // any number: cut into calls of 50
    /// ```
    "tag::attach" = write POST "/cgi-bin/tags/members/batchtagging";
    request Attach {
        /// The tag's id.
        tagid: i64,
        /// The followers' openids.
        openid_list: Vec<String>,
    }
    answer Empty;
    list openid_list: String, 50 else errcode::INVALID_OPENID_LIST_SIZE;
    attributes {
        errors: &[
            -1, 40001, 40003, 40032, 41001, 42001, 44002, 45009, 45011, 45059, 45159, 45169, 45171, 47001, 48001,
            49003, 50002, 50005,
        ],
    }
}

endpoint! {
    /// Takes a tag off followers.
    ///
    /// One call takes 50 openids (40032); a longer list is cut into calls. A follower without the
    /// tag is no error.
    /// Source: 批量为用户取消标签 (batchUntagging).
    ///
    /// ```rhai
    /// let vip = tag::create("VIP");
    /// tag::detach(vip, user::list().data.openid);
    /// ```
    "tag::detach" = write POST "/cgi-bin/tags/members/batchuntagging";
    request Detach {
        /// The tag's id.
        tagid: i64,
        /// The followers' openids.
        openid_list: Vec<String>,
    }
    answer Empty;
    list openid_list: String, 50 else errcode::INVALID_OPENID_LIST_SIZE;
    attributes {
        errors: &[
            -1, 40001, 40003, 40032, 41001, 42001, 45009, 45011, 45159, 45169, 45171, 47001, 48001, 49003,
        ],
    }
}

endpoint! {
    /// Gives the ids of one follower's tags.
    ///
    /// Source: 获取用户身上的标签列表 (getUserTags).
    ///
    /// ```rhai
    /// let openid = user::list().data.openid[0];
    /// print(tag::of(openid));
    /// ```
    "tag::of" = read POST "/cgi-bin/tags/getidlist";
    request Of {
        /// The follower's openid.
        openid: String,
    }
    answer TagIds;
    attributes {
        errors: &[-1, 40001, 40003, 41001, 42001, 45009],
    }
}
