//! `mpscript check` and calls: which functions it knows, and which calls it must not refuse.

use crate::fixtures::check::{assert_hint, assert_sound};

#[test]
fn unknown_function_is_found_however_it_is_called() {
    for (script, problem, hint) in [
        ("folowers();", "there is no function `folowers`", "did you mean `followers`?"),
        ("if false { folowers(); }", "there is no function `folowers`", "did you mean `followers`?"),
        ("let f = || folowers();", "there is no function `folowers`", "did you mean `followers`?"),
        ("print(`${folowers()}`);", "there is no function `folowers`", "did you mean `followers`?"),
        ("fn f() { qwertyuiop() }", "there is no function `qwertyuiop`", ""),
        ("followers().cuont();", "there is no function `cuont`", "did you mean `count`?"),
        ("followers().filtr(|u| true).count();", "there is no function `filtr`", "did you mean `filter`?"),
        ("fn label(n) { n } lable(1);", "there is no function `lable`", "did you mean `label`?"),
        ("tag::atach(1, []);", "there is no function `tag::atach`", "did you mean `tag::attach`?"),
        ("user::get();", "there is no function `user::get`", ""),
        (
            "import \"lib/labels\" as labels; labels::of_scen(1);",
            "there is no function `labels::of_scen`",
            "did you mean `labels::of_scene`?",
        ),
        ("import \"lib/labels\" as labels; labels::hidden();", "there is no function `labels::hidden`", ""),
        // An import's own imports are not to be seen from here.
        ("import \"lib/dates\" as dates; dates::of_scene(1);", "there is no function `dates::of_scene`", ""),
    ] {
        assert_hint(script, problem, hint);
    }
}

#[test]
fn call_with_a_wrong_number_of_arguments_is_found() {
    for (script, problem, hint) in [
        ("followers(1);", "`followers` can't be called with 1 argument", "it is followers()"),
        ("fn label(n) { n } label();", "`label` can't be called with 0 arguments", "it is label with 1"),
        (
            "import \"lib/labels\" as labels; labels::of_scene();",
            "`labels::of_scene` can't be called with 0 arguments",
            "it is labels::of_scene with 1",
        ),
        (
            "tag::attach(1);",
            "`tag::attach` can't be called with 1 argument",
            "it is tag::attach(tagid, openid_list)",
        ),
        // The engine's own `tag()` reads a mark that scripts here have no use for.
        ("followers().tag();", "`tag` can't be called with 0 arguments", "it is tag(audience, tag)"),
        ("followers().untag();", "`untag` can't be called with 0 arguments", "it is untag(audience, tag)"),
        ("tag::list(1);", "`tag::list` can't be called with 1 argument", "it is tag::list()"),
    ] {
        assert_hint(script, problem, hint);
    }
}

#[test]
fn methods_of_arrays_maps_and_strings_are_accepted() {
    assert_sound(
        "let a = [1, 2, 3].filter(|x| x > 1).map(|x| x * 2);
         print(a.reduce(|sum, x| sum + x, 0)); print(a.len() + a.len); a.push(1); a += 3; print(a.pop());
         a.sort(|x, y| x - y); a.for_each(|i| this + i); print(a.some(|x| x == 1)); print(a.find(|x| x == 2));
         let m = #{a: 1}; print(m.keys()); print(to_json(m)); print(\"a\" in m); print(m?.b ?? 3);
         let s = \"展台-01\"; print(s.split(\"-\")); print(s.sub_string(1)); print(s[0..2]); print(s.to_upper());
         print(parse_int(\"12\")); print(1.to_float()); print(range(1, 5)); print(timestamp().elapsed >= 0.0);
         print(type_of(1)); print(is_def_var(\"a\")); print(is_def_fn(\"f\", 1)); debug_nothing();
         fn debug_nothing() {}",
    );
}

#[test]
fn closures_in_variables_and_maps_are_accepted() {
    for script in [
        "let f = |x| x + 1; print(f.call(2)); print(call(f, 3)); fn apply(g, v) { g.call(v) } print(apply(f, 9));",
        "let m = #{ greet: |name| `你好 ${name}` }; print(m.greet(\"a\")); print(m.greet.call(\"b\"));",
        "let m = #{}; m.later = |x| x; print(m.later(1)); m[\"other\"] = |x| x; print(m.other(2));",
        "let name = \"dynamic\"; let m = #{}; m[name] = |x| x; print(m.dynamic(5));",
        "let m = #{a: #{b: |x| x}}; print(m.a.b(1)); fn make() { #{ say: |x| x } } print(make().say(3));",
        "import \"lib/handle\" as h; print(h::handle(#{ greet: |x| x + 1 }));",
        "let make = |n| { |x| x + n }; print(make.call(1).call(2)); let c = curry(make, 1); print(c.call().call(3));",
        "fn double(x) { x * 2 } let f = Fn(\"double\"); print(f.call(4)); print([1].map(f)); print([1].map(double));",
        "fn is_new(u) { u.sex == 0 } print(followers().filter(is_new).count()); print(followers().filter(Fn(\"is_new\")).count());",
        "let is_new = |u| u.sex == 0; print(followers().filter(is_new).filter(|u| is_new.call(u)).count());",
        "let sum = 0; let add = |n| { sum += n; sum }; add.call(2); followers().each(|u| { sum += 1; [1].for_each(|i| sum += 1); });",
    ] {
        assert_sound(script);
    }
}

#[test]
fn own_functions_are_accepted_in_every_call_style() {
    for script in [
        "fn double() { this * 2 } fn add(n) { this + n } let x = 4; print(x.double().add(3)); print(1.add(2));",
        "fn bump() { this += 1; } let x = 1; x.bump(); print(x);",
        "fn int.triple() { this * 3 } fn string.shout(n) { this + n } print(3.triple()); print(\"a\".shout(\"b\"));",
        "fn from_scene(scene) { this.filter(|u| u.qr_scene == scene) } print(followers().from_scene(5).count());",
        "fn 求和(甲, 乙) { 甲 + 乙 } let 标签 = 求和(1, 2); print(`合计: ${标签} ${求和(1, 1)}`);",
        "print(later(1)); fn later(x) { if x > 0 { later(x - 1) } else { helper() } } private fn helper() { 0 }",
        "fn count(list) { list.len() } print(count([1])); fn tag(a, b, c) { a } print(tag(1, 2, 3));",
        "const SCENE = 5; fn scene() { global::SCENE } print(scene()); { let SCENE = 6; print(SCENE); }",
    ] {
        assert_sound(script);
    }
}

#[test]
fn imports_are_resolved_by_their_local_names() {
    for script in [
        "import \"lib/labels\" as labels; print(labels::of_scene(1)); print(labels::多);",
        "fn a() { import \"lib/labels\" as l; l::of_scene(1) } fn b() { import \"lib/dates\" as l; l::today() } a(); b();",
        "{ import \"lib/dates.rhai\" as d; print(d::today()); } import \"./lib/labels\" as l; print(l::of_scene(2));",
        "import \"lib/labels\" as tag; print(tag::of_scene(3));",
        "import \"lib/labels\" as l; let f = |n| l::of_scene(n); print(f.call(1)); print([1].map(|n| l::of_scene(n)));",
    ] {
        assert_sound(script);
    }
}

#[test]
fn every_language_construct_is_accepted() {
    assert_sound(
        "let x = switch 3 { 1 => \"a\", 2 | 3 => { let y = 4; y.to_string() }, _ => \"c\" };
         let y = switch x { \"4\" if x.len() == 1 => 1..5, _ => 1..=2 };
         for (v, i) in y { print(v + i); }
         let w = while true { break 5; }; let n = 0; do { n += 1; } until n > 5; let l = loop { break \"x\"; };
         try { throw #{code: 1}; } catch (e) { print(e.code); }
         print(`外 ${if n > 1 { `内 ${[1, 2].map(|q| `${q}`)}` } else { \"\" }}`);
         print(0xff + 1_000 + (5 % 3 << 1)); print(!(1 in [2])); let _unused = ();",
    );
}

#[test]
fn variables_declared_by_eval_are_accepted() {
    assert_sound("eval(\"let 新 = 5;\"); print(新); let code = \"40 + 2\"; print(eval(code));");
    // Without it, an unknown name is a slip.
    assert_hint("print(新);", "there is no variable `新`", "declare it first: let NAME = …;");
}
