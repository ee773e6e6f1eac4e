//! The fingerprints of steps, as every version records them: a run of an earlier version is resumed only if the same step
//! still has the same one.

use crate::fixtures::{
    program::Folder,
    runs::{newest_run_id, on_store},
    sandbox_process::SandboxProcess,
};
use mpscript::store::{Statement, StepKind};
use std::collections::BTreeSet;

/// Steps of every kind, in their order.
const SCRIPT: &str = r#"
let t = tag::create("甲\"乙\\丙");
tag::update(t, "❤️ 贵宾");
let l = user::list().data.openid.extract(0, 2);
tag::attach(t, l);
tag::detach(t, l);
user::remark(l[0], "客户\t一");
blacklist::add(l);
blacklist::remove(l);
media::upload_image("标志.png");
card::create(card::general_card(#{logo_url: "http://mmbiz.qpic.cn/x/0", brand_name: "微信餐厅", color: "Color010",
    notice: "出示此券", description: "仅限堂食", quantity: 500, title: "礼品卡", fixed_term: 365}));
qrcode::create("QR_LIMIT_STR_SCENE", #{scene: #{scene_str: "展台"}});
quota::clear();
api::post("/cgi-bin/tags/create", #{tag: #{name: "直接"}});
restore_tag_name(t.id, "甲\"乙\\丙", "❤️ 贵宾");
delete_tag_if_empty(t.id, "甲\"乙\\丙");
tag::delete(tag::create("旧的"));
tag::attach(2, user::list().data.openid.extract(0, 20));
followers().take(3).tag("老 客户");
members("老 客户").filter(|u| u.sex == 1).untag("老 客户");
openids(l).block();
blacklisted().unblock();
followers().sample(2).remark(|u| "熟客");
changed_by("无", "3", "remark").restore_remark();
members(2).take(1).each(|u| tag::list());
for u in followers().take(1) { for name in ["子", "丑"] { followers().filter(|f| f.remark == name).count(); } }
followers().count();
followers().count_by(|u| u.sex);
followers().take(1).write_csv("表.csv");
members(2).untag(2);
delete_tag_if_empty("没有");
"#;

/// Kind and fingerprint of each step. A line never changes; a new kind of step has a new one.
const FINGERPRINTS: &str = "
call:tag_create 7af7b7823bfdec4a
call:tag_update c2a9401490850aef
call:tag_attach eb2ebf29f5a68a11
call:tag_detach 1eed7686e280e45b
call:user_remark 614c2fb90b8afabb
call:blacklist_add 52821809ade34b02
call:blacklist_remove fc348aa4d7af1024
call:media_upload_image ff32291156fe57d1
call:card_create edde4e3e3dc0dbaa
call:qrcode_create e9d972c3fed4e03b
call:quota_clear ef923bcc8df44b82
call:undeclared dc122418169befd9
call:tag_restore_name 6e6b828143f1e053
call:tag_delete_if_empty 6a9a337200a0d359
call:tag_create b3237b354915e836
call:tag_delete 91bddb637b4959d3
call:tag_attach e88519fef04ce699
terminal:tag c449f9f2c70b8744
call:tag_create 4779bf434efc40b3
terminal:untag d1b316b8df595020
terminal:block a81fd9b0ed243220
terminal:unblock d646f11ec3c07eff
terminal:remark 09ccf52c2affe305
terminal:restore_remark b825d9f54d3c3600
terminal:each 2b8222ff591c1c7c
terminal:for 47ce99680e856e0e
terminal:count a3bd9ca415fae683
terminal:count 93a436acf2028593
terminal:count fbd9158e41151c30
terminal:count_by 996b98f4729b5fee
terminal:write_csv 7e83ada276503f25
terminal:untag dd4d988476edd0ba
call:tag_delete_if_empty f5e15b97af97f908
";

#[test]
fn steps_of_every_kind_have_the_fingerprints_of_earlier_versions() {
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let folder = Folder::with(SCRIPT)
        .account()
        .env("MPSCRIPT_STORE", "store.sqlite3")
        .file("标志.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let finished = sandbox.run(&folder, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let run = newest_run_id(&folder);
    let recorded: Vec<[String; 2]> = on_store(&folder, async |store| {
        let steps = "SELECT kind, fingerprint FROM mpscript_step WHERE run = $1 ORDER BY seq";
        let rows = store.query(Statement::new(steps).with(run.as_str())).await.expect("the store works");
        rows.iter().map(|row| [0, 1].map(|column| row.text(column).unwrap_or_default().to_owned())).collect()
    });
    let lines: Vec<String> = recorded.iter().map(|step| step.join(" ")).collect();
    assert_eq!(lines.join("\n"), FINGERPRINTS.trim());
    let kinds: BTreeSet<&str> = recorded.iter().map(|[kind, _]| kind.as_str()).collect();
    let missing: Vec<StepKind> =
        StepKind::all().filter(|kind| !kinds.contains(kind.to_string().as_str())).collect();
    // `to_array` is not recorded.
    assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), ["terminal:to_array"]);
}
