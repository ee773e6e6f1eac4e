//! `mpscript check` and arguments: literal values and types that are always refused, and those that may be taken.

use crate::fixtures::check::{assert_hint, assert_problem, assert_sound, problems};

#[test]
fn literal_that_a_function_refuses_is_found() {
    for (script, problem) in [
        ("followers().take(-1).count();", "take needs a count of 0 or more, not -1"),
        ("followers().sample(-3).count();", "sample needs a count of 0 or more, not -3"),
        ("followers().since(\"nonsense\").count();", "`nonsense` is no time"),
        ("followers().before(\"2026-02-30\").count();", "`2026-02-30` is no time"),
        (
            "print(followers().from_scene([98765, 0]).count());",
            "from_scene takes a number from 1, a text that is not empty, or a list of these, not [98765, 0]",
        ),
        ("print(unix_time(\"昨天\"));", "`昨天` is no time"),
        (
            "print(beijing_time(1735689600000));",
            "beijing_time: 1735689600000 looks like milliseconds, and it takes seconds",
        ),
        ("sleep(-1);", "sleep takes seconds from 0 to 31622400, not -1"),
        ("print(members(\"\").count());", "`` can't be a tag's name: it has 0 bytes"),
        (
            "followers().tag(\"一二三四五六七八九十一\");",
            "`一二三四五六七八九十一` can't be a tag's name: it has 33 bytes",
        ),
        (
            "print(openids([\"oABCDEFGHIJKLMNOPQRSTUVWXYZ1\", 5]).count());",
            "openids takes an array of strings, but one entry is an integer",
        ),
        ("followers().write_csv(\"a.csv\", [\"openid\", \"nicknam\"]);", "a follower has no field `nicknam`"),
        ("tag::create(\" 客户\");", "the name of the tag, \" 客户\", has a blank at its end or beginning"),
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn unknown_channel_gets_a_suggestion() {
    assert_hint(
        "print(followers().by_channel(\"ADD_SCENE_QR_COD\").count());",
        "there is no channel `ADD_SCENE_QR_COD`",
        "did you mean `ADD_SCENE_QR_CODE`?",
    );
}

#[test]
fn argument_of_another_type_is_found() {
    for (script, problem) in [
        ("tag::attach(\"VIP\", [\"o1\"]);", "tag::attach: `tagid` must be an integer, not a string"),
        ("tag::attach(100, [1]);", "tag::attach: `openid_list` must be an array of strings, not an integer"),
        (
            "let name = \"VIP\"; tag::attach(name, [\"o1\"]);",
            "tag::attach: `tagid` must be an integer, not a string",
        ),
        (
            "tag::attach(100, [\"o1\", 1]);",
            "tag::attach: `openid_list` must be an array of strings, not an integer",
        ),
        ("tag::attach(100, \"o1\");", "tag::attach: `openid_list` must be an array of strings, not a string"),
        ("user::info(5);", "user::info: `openid` must be a string, not an integer"),
        ("followers().take(\"5\").count();", "`take` can't be called with audience, string"),
        ("print(beijing_time(\"5\"));", "`beijing_time` can't be called with string"),
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn empty_list_that_the_platform_refuses_is_found() {
    assert_hint(
        "tag::attach(100, []);",
        "tag::attach: `openid_list` is empty, which the platform refuses (40032)",
        "give it an entry at the least",
    );
}

#[test]
fn argument_that_may_be_taken_is_accepted() {
    for script in [
        "print(followers().take(0).count()); print(followers().take(5).sample(2).count());",
        "print(openids([]).count()); let none = []; print(openids(none).count());",
        "for u in followers().take(1) { print(user::info(u).openid == user::info(u.openid).openid); }",
        "let t = tag::create(\"甲\"); tag::attach(t, [user::list().data.openid[0]]); tag::attach(t.id, user::list().data.openid);",
        "let people = followers().take(2).to_array(); tag::attach(2, people); user::batch([people[0], people[1].openid]);",
        "fn show(x) { print(x.len()); } show(\"甲\"); show([1]); show(#{a: 1});",
        "let x = (); for n in [1, \"2\"] { x = n; } if x != () { print(\"a\" + x); }",
        "let list = [1, \"2\"]; list.push(3.5); list.insert(0, ()); print(list.index_of(\"2\")); print(list.contains(3));",
        "let m = #{}; m.set(\"甲\", 1); print(m.get(\"甲\")); print(m.keys().len()); print(\"甲乙\".split(\"\").len());",
        "print(max(1, 2.5)); print(\"a\".pad(5, \"-\")); print(sqrt(4.0)); sleep(0); sleep(0.01);",
        "let take = |n| n; let m = #{take: take}; print(m.take(\"5\"));",
        "fn since(x) { x } print(since(\"nonsense\")); let m = #{before: |x| x}; print(m.before(\"nonsense\"));",
        "let names = [\"openid\"]; for n in 0..1 { names.push(\"remark\"); } followers().take(2).write_csv(\"a.csv\", names);",
        "let name = param(\"tag\", \"甲\"); followers().take(2).tag(name); print(members(name).count());",
    ] {
        assert_sound(script);
    }
}

#[test]
fn closure_with_another_number_of_parameters_is_found() {
    for (script, problem) in [
        (
            "[1].map(|a, b, c| a);",
            "map's closure has three parameters, and is called with two arguments at the most",
        ),
        ("let l = [1, 2]; l.sort(|a| a);", "sort's closure takes two parameters, and this has one parameter"),
        (
            "let f = |a, b| a + b; print(f.call(1));",
            "this closure has two parameters, and is called with one argument",
        ),
    ] {
        assert_problem(script, problem);
    }
    for script in [
        "print([1].map(|x| x + 1)); print([1].map(|x, i| x + i)); print([1].map(|| this + 1));",
        "let l = [2, 1]; l.sort(|a, b| a - b); print(l.reduce(|sum, x| if sum == () { x } else { sum + x }));",
        "let n = 1; let f = |a, b| a + b + n; print(f.call(1, 2)); [1].for_each(|| this += 1);",
    ] {
        assert_sound(script);
    }
}

#[test]
fn misspelt_key_of_a_card_is_found() {
    assert_hint(
        "let c = card::member_card(#{title: \"会员卡\", quantitty: 100}); print(c.card_type);",
        "card::member_card has no field `quantitty`",
        "did you mean `quantity`?",
    );
    assert_hint(
        "card::create(#{card_type: \"MEMBER_CARD\", member_card: #{base_info: #{brand_nam: \"微信餐厅\"}}});",
        "card::create has no field `brand_nam`",
        "did you mean `brand_name`?",
    );
}

#[test]
fn key_of_a_card_that_may_be_new_is_accepted() {
    for script in [
        "print(card::member_card(#{title: \"会员卡\", custom_field2: #{name: \"甲\"}, custom_field4: 1, new_thing: 1}).card_type);",
        "print(card::member_card(#{base_info: #{}, advanced_info: #{}, fixed_term: 30, quantity: 5, prerogative: \"甲\"}).card_type);",
        "let fields = #{}; fields.quantitty = 1; print(card::cash(fields).card_type);",
    ] {
        assert_sound(script);
    }
}

#[test]
fn stages_that_exclude_each_other_are_found() {
    for (script, problem) in [
        (
            "print(followers().from_scene(98765).from_scene(555).count());",
            "no follower passes both from_scene(98765) and from_scene(555)",
        ),
        (
            "let people = followers(); print(people.take(9).from_scene(\"甲\").from_scene([\"乙\", 5]).count());",
            "no follower passes both from_scene(\"甲\") and from_scene([\"乙\", 5])",
        ),
        (
            "print(followers().by_channel(\"ADD_SCENE_SEARCH\").by_channel(\"ADD_SCENE_QR_CODE\").count());",
            "no follower passes both by_channel(\"ADD_SCENE_SEARCH\") and by_channel(\"ADD_SCENE_QR_CODE\")",
        ),
        (
            "print(followers().since(\"2026-02-01\").before(\"2026-01-01\").count());",
            "no follower passes both since(\"2026-02-01\") and before(\"2026-01-01\")",
        ),
        (
            "print(followers().with_tag(\"甲\").without_tag(\"甲\").count());",
            "no follower passes both with_tag(\"甲\") and without_tag(\"甲\")",
        ),
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn two_scenes_get_the_list_as_a_hint() {
    assert_hint(
        "print(followers().from_scene(98765).from_scene(555).count());",
        "no follower passes both from_scene(98765) and from_scene(555)",
        "those who came by either are from_scene([98765, 555])",
    );
}

#[test]
fn stages_that_overlap_are_accepted() {
    for script in [
        "print(followers().from_scene(98765).from_scene(\"98765\").from_scene([98765, 5]).count());",
        "let a = 98765; let b = 98765; print(followers().from_scene(a).from_scene(b).count());",
        "print(followers().since(\"2026-01-01\").before(\"2026-02-01\").count());",
        "fn from_scene(x) { this } print(followers().from_scene(1).from_scene(2).count());",
        "print(followers().with_tag(\"星标组\").without_tag(2).count());",
    ] {
        assert_sound(script);
    }
    assert_eq!(
        problems("let tag = param(\"t\"); followers().with_tag(tag).without_tag(tag).count();"),
        [""; 0]
    );
}
