//! `mpscript check` and types: what it follows through variables, parameters, closures and fields, and what it leaves alone.

use crate::fixtures::check::{assert_hint, assert_problem, assert_sound, folder};

#[test]
fn follower_that_is_passed_to_a_function_is_followed() {
    let problem = "`sex` is an integer, and this compares it with a string";
    for script in [
        "fn is_new(u) { u.sex == \"1\" } followers().filter(|u| is_new(u)).count();",
        "fn is_new(u) { u.sex == \"1\" } followers().filter(is_new).count();",
        "fn is_new(u) { u.sex == \"1\" } followers().filter(Fn(\"is_new\")).count();",
        "fn is_new(u) { u.sex == \"1\" } for u in followers() { print(is_new(u)); }",
        "fn is_new(who) { let u = who; u.sex == \"1\" } fn any(u) { is_new(u) } followers().each(|u| any(u));",
        "fn is_new() { this.sex == \"1\" } followers().filter(|u| u.is_new()).count();",
        "let is_new = |u| u.sex == \"1\"; followers().filter(is_new).count();",
        "let is_new = |u| u.sex == \"1\"; followers().filter(|u| is_new.call(u)).count();",
        "fn those(wanted) { followers().filter(wanted) } those(|u| u.sex == \"1\").count();",
        "fn everyone() { followers() } everyone().filter(|u| u.sex == \"1\").count();",
        "followers().to_array().filter(|u| u.sex == \"1\");",
        "let people = followers().to_array(); print(people[0].sex == \"1\");",
        "for u in user::batch([\"o1\"]) { print(u.sex == \"1\"); }",
    ] {
        assert_problem(script, problem);
    }
    let script = "import \"lib/谁\" as 谁; followers().filter(|u| 谁::is_new(u)).count();";
    assert_problem(script, problem);
}

#[test]
fn closure_of_every_terminal_operation_is_followed() {
    let problem = "`qr_scene` is an integer, and this compares it with a string";
    for script in [
        "let s = \"98765\"; followers().each(|u| { if u.qr_scene == s { print(u.openid); } });",
        "let s = \"98765\"; followers().remark(|u| if u.qr_scene == s { \"展台\" });",
        "let s = \"98765\"; followers().count_by(|u| u.qr_scene == s);",
        "let s = \"98765\"; followers().sample(3).each(|u| [1].for_each(|n| print(u.qr_scene == s)));",
    ] {
        assert_problem(script, problem);
    }
    let script = "let s = \"98765\"; followers().count_by(|u| if u.qr_scene in [s] { 1 } else { 2 });";
    assert_problem(script, "`qr_scene` is an integer, and this list has strings only");
}

#[test]
fn case_of_another_type_is_found() {
    for (script, problem, hint) in [
        (
            "for u in followers() { switch u.qr_scene { \"98765\" => print(1), _ => print(2) } }",
            "`qr_scene` is an integer, and this case is a string",
            "write 98765 without quotes",
        ),
        (
            "followers().count_by(|u| switch u.subscribe_scene { \"甲\" => 1, 5 if u.sex == 1 => 2, _ => 3 });",
            "`subscribe_scene` is a string, and this case is an integer",
            "write \"5\" in quotes",
        ),
        (
            "let n = 5; print(switch n { 1 | \"一\" => 1, _ => 0 });",
            "`n` is an integer, and this case is a string",
            "write an integer",
        ),
    ] {
        assert_hint(script, problem, hint);
    }
}

#[test]
fn same_constant_in_two_switches_is_reported_for_its_own() {
    let script = "let n = 5; let s = \"甲\";
        print(switch n { \"乙\" => 1, 5 => 2, _ => 0 });
        print(switch s { \"乙\" => 1, 5 => 2, _ => 0 });";
    let message = folder(script).run(&["check", "script.rhai"]).failure(1);
    let found: Vec<&str> = message
        .lines()
        .filter_map(|line| line.strip_prefix("error: ").or_else(|| line.trim().strip_prefix("--> ")))
        .collect();
    let expected = [
        "`n` is an integer, and this case is a string",
        "script.rhai:2:26",
        "`s` is a string, and this case is an integer",
        "script.rhai:3:36",
    ];
    assert_eq!(found, expected, "{message}");
}

#[test]
fn case_of_the_same_or_an_unknown_type_is_accepted() {
    for script in [
        "for u in followers() { switch u.qr_scene { 98765 | 5 => print(\"甲\"), _ => print(\"乙\") } }",
        "for u in followers() { switch u.qr_scene { 0..10 => print(\"98765\" == u.remark), _ => () } }",
        "for x in [1, \"甲\"] { switch x { \"甲\" => print(1), 1 => print(2), _ => () } }",
        "let s = param(\"s\", \"甲\"); switch s { \"甲\" => print(if s == \"乙\" { 5 } else { 1 }), _ => print(2) }",
        "switch () { () => print(1), _ => () } switch true { true => (), _ => () }",
    ] {
        assert_sound(script);
    }
}

#[test]
fn tag_of_another_type_is_found() {
    let id = "`id` is an integer, and this compares it with a string";
    for (script, problem) in [
        ("for t in tag::list() { if t.id == \"2\" { print(t.name); } }", id),
        ("print(tag::list().find(|t| t.id == \"2\"));", id),
        ("print(tag::list().filter(|t| t.name == \"甲\")[0].id == \"2\");", id),
        ("let t = tag::create(\"甲\"); print(t.id == \"100\");", id),
        ("print(tag::list()[0].name == 2);", "`name` is a string, and this compares it with an integer"),
        (
            "print(tag::list()[0].count == \"0\");",
            "`count` is an integer, and this compares it with a string",
        ),
        (
            "for t in tag::list() { print(t == \"星标组\"); }",
            "`t` is a Tag, and this compares it with a string",
        ),
        ("print(\"2\" in user::info(\"o1\").tagid_list);", "`tagid_list` never has a string in it"),
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn comparison_of_other_values_is_found() {
    for (script, problem) in [
        (
            "let n = followers().count(); print(n == \"5\");",
            "`n` is an integer, and this compares it with a string",
        ),
        (
            "let ids = []; ids.push(\"98765\"); ids.sort(); print(followers().filter(|u| u.qr_scene in ids).count());",
            "`qr_scene` is an integer, and this list has strings only",
        ),
        (
            "try { tag::create(\"甲\"); } catch (e) { if e.errcode == \"45157\" { print(1); } }",
            "`errcode` is an integer, and this compares it with a string",
        ),
        ("print(followers() > 5);", "this compares an audience with an integer"),
        (
            "let r = followers().tag(\"甲\"); print(r.changed == \"5\");",
            "`changed` is an integer, and this compares it with a string",
        ),
        ("print(followers().tag(\"甲\") == 5);", "this compares a Report with an integer"),
        (
            "for u in followers() { print(u == \"o1\"); }",
            "`u` is a follower, and this compares it with a string",
        ),
        (
            "let s = param(\"s\"); if s == 5 { print(1); }",
            "`s` is a string, and this compares it with an integer",
        ),
        (
            "fn scene() { return \"98765\"; } print(followers().filter(|u| u.qr_scene == scene()).count());",
            "`qr_scene` is an integer, and this compares it with a string",
        ),
        (
            "print(followers().filter(|u| u.qr_scene in #{\"98765\": 1}).count());",
            "the keys of a map are strings, and this looks for an integer in it",
        ),
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn value_of_several_or_unknown_types_is_accepted() {
    for script in [
        "fn f(x) { x == \"1\" } print(f(1)); print(f(\"1\"));",
        "fn is_blank(v) { v == () || v == \"\" || v == 0 } followers().filter(|u| is_blank(u.remark)).count();",
        "fn of(s) { followers().filter(|u| u.qr_scene == s || u.qr_scene_str == s).count() } of(5);",
        "fn f(x) { if x.type_of() == \"string\" { x == \"1\" } else { x == 1 } } print(f(1));",
        "let x = 1; if x.type_of() == \"string\" { print(x == \"1\"); }",
        "let m = #{n: 1}; if type_of(m.n) == \"string\" { print(m.n == \"1\"); }",
        "let m = #{list: [1]}; if type_of(m.list[0]) == \"string\" { print(m.list[0] == \"1\"); }",
        "let l = [1]; if type_of(l[0]) == \"string\" { print(l[0] == \"1\"); }",
        "let l = [1]; print(switch type_of(l[0]) { \"string\" => l[0] == \"1\", _ => l[0] == 1 });",
        "fn is_one() { type_of(this.n) == \"string\" && this.n == \"1\" } let m = #{n: 1}; print(m.is_one());",
        "for u in followers() { if type_of(u.remark) == \"i64\" { print(u.remark == 1); } }",
        "for u in followers() { if u.remark.type_of() == \"i64\" { print(u.remark == 1); } }",
        "fn f(a, b) { a == \"x\" } let g = curry(f, \"x\"); print(g.call(5)); f(1, 2); print(f.curry(\"x\").call(5));",
        "[\"甲\", \"乙\"].for_each(|i| if i > 0 { print(this) });",
        "let l = [1]; l.for_each(|| this = this.to_string()); print(\"1\" in l);",
        "let l = [1]; let f = |x| this.push(x); l.call(f, \"a\"); print(\"a\" in l);",
        "import \"lib/谁\" as 谁; print(谁::is_text(5));",
        "fn f(x) { if type_of(x) == \"string\" { x == \"1\" } else { x == 1 } } print(f(1));",
        "fn f(x) { x == \"1\" } let g = [f]; print(g[0].call(\"1\") || f(1));",
        "fn f(x) { x == \"1\" } let name = \"f\"; print(Fn(name).call(\"1\")); print(f(1));",
        "fn f(x) { x == \"1\" } print([1, \"1\"].filter(f).len());",
        "let f = |x| x == \"1\"; let m = #{f: f}; print(m.f.call(1));",
        "fn fix() { this = \"1\"; } let x = 1; x.fix(); print(x == \"1\");",
        "let x = 1; let set = || { x = \"1\"; }; set.call(); print(x == \"1\");",
        "let ids = []; ids.push(\"1\"); print(\"1\" in ids); ids += 5; print(5 in ids);",
        "let ids = [1]; ids.push(\"1\"); print(\"1\" in ids);",
        "let ids = [1]; push(ids, \"1\"); print(\"1\" in ids);",
        "let ids = [1]; ids[0] = \"1\"; print(\"1\" in ids);",
        "let m = #{n: 1}; m.n = \"1\"; print(m.n == \"1\"); m.list = [1]; m.list.push(\"1\"); print(\"1\" in m.list);",
        "let found = (); for u in followers() { found = u.openid; } print(found == () || found == \"o1\");",
        "let x = if 1 > 2 { 1 } else { \"1\" }; print(x == \"1\");",
        "let x = switch 1 { 1 => 1, _ => \"1\" }; print(x == \"1\");",
        "let x = loop { break \"1\"; }; print(x == \"1\"); x = 5; print(x == \"1\");",
        "let x = 1; { let x = \"1\"; print(x == \"1\"); } print(x == 1);",
        "let x = \"1\"; let f = |x| x == 1; print(f.call(1));",
        "for u in followers() { let t = u.tagid_list; print(2 in t || t == [] || t.len() == 0); }",
        "for t in tag::list() { print(t == 2 || t.id == t || t in [2] || t.count == ()); }",
        "try { throw 5; } catch (e) { print(e == 5 || e == \"5\"); }",
        "try { throw \"甲\"; } catch (e) { print(e == \"甲\"); } try { 1 / 0 } catch (e) { print(e.line == 5); }",
        "try { throw #{errcode: \"5\"}; } catch (e) { print(e.errcode == \"5\"); }",
        "let a = [1]; a.insert(0, \"1\"); a.append([2.5]); print(\"1\" in a || 2.5 in a);",
        "print('a' == \"a\" || 1 == 1.0 || [] == [\"a\"] || \"a\" in \"abc\" || 'a' in \"abc\");",
        "print(eval(\"1\") == \"1\");",
        "let n = 5; n /= 2.0; print(n == 2.5); let s = \"\"; s += 5; print(s == \"5\");",
    ] {
        assert_sound(script);
    }
}

#[test]
fn unknown_field_of_a_known_value_is_found() {
    for (script, problem, hint) in [
        ("for t in tag::list() { print(`${t.nmae}`); }", "a Tag has no field `nmae`", "did you mean `name`?"),
        (
            "let r = followers().tag(\"甲\"); print(`改了 ${r.chnaged} 人`);",
            "a Report has no field `chnaged`",
            "did you mean `changed`?",
        ),
        (
            "fn tell(r) { print(r.chnaged); } tell(followers().tag(\"甲\"));",
            "a Report has no field `chnaged`",
            "did you mean `changed`?",
        ),
        ("print(tag::create(\"甲\").nmae);", "a Tag has no field `nmae`", "did you mean `name`?"),
        (
            "fn tell(u) { print(`${u.qr_scen}`); } followers().each(|u| tell(u));",
            "a follower has no field `qr_scen`",
            "did you mean `qr_scene`?",
        ),
        (
            "let r = followers().tag(\"甲\"); print(r.tag);",
            "a Report has no field `tag`",
            "its fields are operation, target, state, listed, missing, fetched, matched, unmatched, unsubscribed, unread, changed, already, \
             skipped, failed, calls, elapsed_ms",
        ),
        ("print(followers().cuont);", "an audience has no field `cuont`", "did you mean `count(…)`?"),
        (
            "let t = tag::list()[0]; t.name = \"乙\";",
            "the field `name` of a Tag can't be set",
            "a value of the platform's is read only: change it with the function for that",
        ),
        ("print(tag::list().map(|t| t.nmae));", "a Tag has no field `nmae`", "did you mean `name`?"),
        (
            "print(tag::list().filter(|t, i| t.cuont > i));",
            "a Tag has no field `cuont`",
            "did you mean `count`?",
        ),
        (
            "let u = user::info(\"o1\"); print(u.qr_scen);",
            "a follower has no field `qr_scen`",
            "did you mean `qr_scene`?",
        ),
        (
            "try { tag::create(\"甲\"); } catch (e) { print(e.errcod); }",
            "an Error has no field `errcod`",
            "did you mean `errcode`?",
        ),
        (
            "try { tag::create(\"甲\"); } catch (e) { print(e.errcod); throw e; }",
            "an Error has no field `errcod`",
            "did you mean `errcode`?",
        ),
        (
            "let r = followers().tag(\"甲\"); for f in r.failed { print(f.errcod); }",
            "this map has no `errcod`",
            "did you mean `errcode`?",
        ),
        (
            "let t = qrcode::create(\"QR_SCENE\", #{}); print(t.tiket);",
            "this map has no `tiket`",
            "did you mean `ticket`?",
        ),
        ("print(user::list().data.openids);", "this map has no `openids`", "did you mean `openid`?"),
        (
            "print(media::upload_image(\"scripts/logo.png\").adress);",
            "this map has no `adress`",
            "it has url",
        ),
        ("let m = #{a: 1}; print(m.b);", "this map has no `b`", "it has a"),
        (
            "fn options() { #{scene: 1, tag: \"甲\"} } let o = options(); print(o.scen);",
            "this map has no `scen`",
            "did you mean `scene`?",
        ),
        ("print(token::get().expires);", "a Token has no field `expires`", "did you mean `expires_in`?"),
    ] {
        assert_hint(script, problem, hint);
    }
}

#[test]
fn field_that_is_there_is_accepted() {
    for script in [
        "for t in tag::list() { print(`${t.id} ${t.name} ${t.count}`); }",
        "let r = followers().tag(\"甲\"); print(`${r.operation} ${r.target} ${r.changed} ${r.failed.len()} ${r.calls.len()}`);",
        "let r = #{chnaged: 1}; print(r.chnaged); r = #{other: 2}; print(r.other);",
        "let t = tag::list()[0]; t = #{nmae: 1}; print(t.nmae);",
        "fn tell(x) { print(x.nmae); } tell(#{nmae: tag::list()[0]});",
        "try { tag::list(); } catch (e) { print(e.line); }",
        "for t in [#{nmae: 1}] { print(t.nmae); } for t in tag::list() { print(t.name); }",
        "try { [1][5] } catch (e) { print(`${e.message} ${e.error} ${e.line} ${e.position} ${e.length} ${e.index}`); }",
        "try { throw #{code: 1}; } catch (e) { print(e.code); }",
        "try { throw \"甲\"; } catch (e) { print(e); } try { tag::list(); } catch (e) { throw e; }",
        "let m = #{a: 1}; m.b = 2; print(m.b); let n = #{}; n[\"甲\"] = 1; print(n.甲); n.c = 1; print(n.c);",
        "let m = #{}; for name in [\"甲\", \"乙\"] { m[name] = 1; } print(m.甲);",
        "let m = #{a: 1}; m += #{b: 2}; print(m.b); let n = #{a: 1}; n.mixin(#{b: 2}); print(n.b);",
        "let m = #{a: 1}; if m.b == () { print(\"甲\"); } print(m.c ?? 5); print(type_of(m.d)); print(m.e.type_of());",
        "let m = #{scene: 1}; if m.scen != () { print(m.scen); }",
        "fn tag_of(options) { if options.tag == () { \"甲\" } else { options.tag } } print(tag_of(#{})); print(tag_of(#{tag: \"乙\"}));",
        "fn show(row) { print(row.title); } show(#{title: \"甲\"}); show(#{name: 1});",
        "let o = if 1 > 2 { #{a: 1} } else { #{b: 2} }; print(o.a); print(o.b);",
        "let key = \"b\"; let m = #{a: 1}; print(key in m); print(m.get(\"b\")); print(m[\"b\"]); print(m[key]);",
        "fn fill() { this.b = 1; } let m = #{a: 1}; m.fill(); print(m.b);",
        "let m = #{a: 1}; let set = || { m.b = 2; }; set.call(); print(m.b);",
        "let m = parse_json(`{\"a\": 1}`); print(m.a); print(m.b);",
        "let page = user::list(); print(page.data.openid.len()); page.extra = 1; print(page.extra); print(page.next_openid);",
        "let u = #{a: #{b: 1}}; print(u.a.b); u.a.c = 5; print(u.a.c);",
    ] {
        assert_sound(script);
    }
}
