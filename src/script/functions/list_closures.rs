//! The array and map methods that take a predicate or a comparison (`filter`, `sort`, …), in place of Rhai's own, which
//! ignore errors of the closure and treat a result that is no boolean as `false`. Here the first error ends the call, and
//! the array or map keeps its former value.

#![allow(clippy::needless_pass_by_value, reason = "the engine gives contexts and closures by value")]

use crate::script::{
    host::{
        error::{ScriptError, ScriptResult},
        value::{describe_type, is_text},
    },
    source::closures::expect_parameters,
};
use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, Map, NativeCallContext};
use std::cmp::Ordering;

/// Which entries a call removes from a list: those for which the predicate is true, or the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removed {
    Passing,
    Failing,
}

fn wrong_answer(context: &NativeCallContext, expected: &str, answer: &Dynamic) -> ScriptError {
    let (name, given) = (context.fn_name(), describe_type(answer));
    let message = format!("the closure of {name} must return {expected}; it returned {given}");
    ScriptError::usage(message, "end it with an expression, without a semicolon")
}

fn truth(context: &NativeCallContext, answer: &Dynamic) -> ScriptResult<bool> {
    answer.as_bool().map_err(|_| wrong_answer(context, "true or false", answer).raise())
}

/// Calls a closure with an entry of an array, and with its index if the closure takes one.
fn passes(
    context: &NativeCallContext,
    closure: &FnPtr,
    at: usize,
    entry: &mut Dynamic,
) -> ScriptResult<bool> {
    let index = [Dynamic::from(i64::try_from(at).unwrap_or(i64::MAX))];
    let answer =
        closure.call_raw_with_extra_args(context.fn_name(), context, Some(entry), [], index, Some(0))?;
    truth(context, &answer)
}

/// Calls a closure with a key of a map, and with its value if the closure takes one.
fn passes_in_map(
    context: &NativeCallContext,
    closure: &FnPtr,
    key: &str,
    value: &mut Dynamic,
) -> ScriptResult<bool> {
    let key = [Dynamic::from(key.to_owned())];
    let answer =
        closure.call_raw_with_extra_args(context.fn_name(), context, Some(value), key, [], Some(1))?;
    truth(context, &answer)
}

fn passing(context: &NativeCallContext, list: &mut Array, closure: &FnPtr) -> ScriptResult<Vec<bool>> {
    list.iter_mut().enumerate().map(|(at, entry)| passes(context, closure, at, entry)).collect()
}

fn filter(context: NativeCallContext, list: &mut Array, closure: FnPtr) -> ScriptResult<Array> {
    let passing = passing(&context, list, &closure)?;
    Ok(list.iter().zip(passing).filter(|(_, passes)| *passes).map(|(entry, _)| entry.clone()).collect())
}

/// An index into a list: a negative one counts from the end.
fn index(list: &Array, at: i64) -> usize {
    let back = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
    if at < 0 { list.len().saturating_sub(back) } else { back }
}

fn position(
    context: &NativeCallContext,
    list: &mut Array,
    closure: &FnPtr,
    from: i64,
) -> ScriptResult<Option<usize>> {
    let from = index(list, from);
    for (at, entry) in list.iter_mut().enumerate().skip(from) {
        if passes(context, closure, at, entry)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn all(context: &NativeCallContext, list: &mut Array, closure: &FnPtr) -> ScriptResult<bool> {
    for (at, entry) in list.iter_mut().enumerate() {
        if !passes(context, closure, at, entry)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn index_of(context: &NativeCallContext, list: &mut Array, closure: &FnPtr, from: i64) -> ScriptResult<i64> {
    let at = position(context, list, closure, from)?;
    Ok(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
}

fn find(context: &NativeCallContext, list: &mut Array, closure: &FnPtr, from: i64) -> ScriptResult<Dynamic> {
    let at = position(context, list, closure, from)?;
    Ok(at.and_then(|at| list.get(at).cloned()).unwrap_or(Dynamic::UNIT))
}

fn remove(
    context: &NativeCallContext,
    list: &mut Array,
    closure: &FnPtr,
    removed: Removed,
) -> ScriptResult<Array> {
    let passing = passing(context, list, closure)?;
    let (mut kept, mut removed_entries) = (Array::new(), Array::new());
    for (entry, passes) in list.drain(..).zip(passing) {
        let into = if passes == (removed == Removed::Passing) { &mut removed_entries } else { &mut kept };
        into.push(entry);
    }
    *list = kept;
    Ok(removed_entries)
}

fn passing_in_map(context: &NativeCallContext, map: &mut Map, closure: &FnPtr) -> ScriptResult<Vec<bool>> {
    map.iter_mut().map(|(key, value)| passes_in_map(context, closure, key, value)).collect()
}

fn filter_map(context: NativeCallContext, map: &mut Map, closure: FnPtr) -> ScriptResult<Map> {
    let passing = passing_in_map(&context, map, &closure)?;
    let entries = map.iter().zip(passing).filter(|(_, passes)| *passes);
    Ok(entries.map(|((key, value), _)| (key.clone(), value.clone())).collect())
}

fn remove_from_map(
    context: &NativeCallContext,
    map: &mut Map,
    closure: &FnPtr,
    removed: Removed,
) -> ScriptResult<Map> {
    let passing = passing_in_map(context, map, closure)?;
    let (mut kept, mut removed_entries) = (Map::new(), Map::new());
    for ((key, value), passes) in std::mem::take(map).into_iter().zip(passing) {
        let into = if passes == (removed == Removed::Passing) { &mut removed_entries } else { &mut kept };
        into.insert(key, value);
    }
    *map = kept;
    Ok(removed_entries)
}

/// The order of two entries, from what the closure returned.
fn order_of(context: &NativeCallContext, answer: &Dynamic) -> ScriptResult<Ordering> {
    let order = if let Ok(number) = answer.as_int() {
        Some(number.cmp(&0))
    } else if let Ok(number) = answer.as_float() {
        number.partial_cmp(&0.0)
    } else if let Ok(is_first) = answer.as_bool() {
        Some(if is_first { Ordering::Less } else { Ordering::Greater })
    } else {
        None
    };
    order.ok_or_else(|| {
        let expected = "a number: below 0 if the first comes first, above 0 if the second does";
        wrong_answer(context, expected, answer).raise()
    })
}

/// A merge sort. Unlike the standard library's it stops at the first error, and an inconsistent comparison only gives an
/// arbitrary order.
fn merge_sorted(
    entries: &[Dynamic],
    compare: &mut dyn FnMut(&Dynamic, &Dynamic) -> ScriptResult<Ordering>,
) -> ScriptResult<Array> {
    if entries.len() < 2 {
        return Ok(entries.to_vec());
    }
    let (left, right) = entries.split_at(entries.len() / 2);
    let mut left = merge_sorted(left, compare)?.into_iter().peekable();
    let mut right = merge_sorted(right, compare)?.into_iter().peekable();
    let mut merged = Array::with_capacity(entries.len());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let from = if compare(first, second)? == Ordering::Greater { &mut right } else { &mut left };
        merged.extend(from.next());
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

fn ordered(context: NativeCallContext, list: &mut Array, closure: FnPtr) -> ScriptResult<Array> {
    expect_parameters(&context, &closure, 2)?;
    merge_sorted(list, &mut |first, second| {
        let answer = closure.call_raw(&context, None, [first.clone(), second.clone()])?;
        order_of(&context, &answer)
    })
}

fn sort(context: NativeCallContext, list: &mut Array, closure: FnPtr) -> ScriptResult<()> {
    *list = ordered(context, list, closure)?;
    Ok(())
}

fn dedup(context: NativeCallContext, list: &mut Array, closure: FnPtr) -> ScriptResult<()> {
    expect_parameters(&context, &closure, 2)?;
    let mut kept = Array::new();
    for entry in list.iter() {
        let is_same = match kept.last() {
            Some(before) => {
                truth(&context, &closure.call_raw(&context, None, [before.clone(), entry.clone()])?)?
            }
            None => false,
        };
        if !is_same {
            kept.push(entry.clone());
        }
    }
    *list = kept;
    Ok(())
}

pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_fn("sort", sort)
        .register_fn("sort_by", sort)
        .register_fn("order", ordered)
        .register_fn("order_by", ordered)
        .register_fn("dedup", dedup)
        .register_fn("filter", filter)
        .register_fn("filter", filter_map)
        .register_fn("some", |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
            position(&context, list, &closure, 0).map(|at| at.is_some())
        })
        .register_fn("all", |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
            all(&context, list, &closure)
        })
        .register_fn("index_of", |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
            index_of(&context, list, &closure, 0)
        })
        .register_fn("index_of", |context: NativeCallContext, list: &mut Array, closure: FnPtr, from: i64| {
            index_of(&context, list, &closure, from)
        })
        .register_fn("find", |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
            find(&context, list, &closure, 0)
        })
        .register_fn("find", |context: NativeCallContext, list: &mut Array, closure: FnPtr, from: i64| {
            find(&context, list, &closure, from)
        })
        .register_fn("drain", |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
            remove(&context, list, &closure, Removed::Passing)
        })
        .register_fn("retain", |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
            remove(&context, list, &closure, Removed::Failing)
        })
        .register_fn("drain", |context: NativeCallContext, map: &mut Map, closure: FnPtr| {
            remove_from_map(&context, map, &closure, Removed::Passing)
        })
        .register_fn("retain", |context: NativeCallContext, map: &mut Map, closure: FnPtr| {
            remove_from_map(&context, map, &closure, Removed::Failing)
        });
    register_by_name(engine);
}

/// The place of a text among the entries. Rhai's own calls a function of that name, if there is one.
fn index_of_text(list: &mut Array, wanted: ImmutableString, from: i64) -> i64 {
    let from = index(list, from);
    let at = list.iter().skip(from).position(|entry| is_text(entry, &wanted)).map(|at| at + from);
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
}

/// The same methods with a function of the script by its name.
fn register_by_name(engine: &mut Engine) {
    engine
        .register_fn("index_of", |list: &mut Array, wanted: ImmutableString| index_of_text(list, wanted, 0))
        .register_fn("index_of", index_of_text)
        .register_fn("sort", |context: NativeCallContext, list: &mut Array, function: ImmutableString| {
            sort(context, list, FnPtr::new(function)?)
        })
        .register_fn("dedup", |context: NativeCallContext, list: &mut Array, function: ImmutableString| {
            dedup(context, list, FnPtr::new(function)?)
        })
        .register_fn("filter", |context: NativeCallContext, list: &mut Array, function: ImmutableString| {
            filter(context, list, FnPtr::new(function)?)
        })
        .register_fn("some", |context: NativeCallContext, list: &mut Array, function: ImmutableString| {
            position(&context, list, &FnPtr::new(function)?, 0).map(|at| at.is_some())
        })
        .register_fn("all", |context: NativeCallContext, list: &mut Array, function: ImmutableString| {
            all(&context, list, &FnPtr::new(function)?)
        })
        .register_fn("drain", |context: NativeCallContext, list: &mut Array, function: ImmutableString| {
            remove(&context, list, &FnPtr::new(function)?, Removed::Passing)
        })
        .register_fn("retain", |context: NativeCallContext, list: &mut Array, function: ImmutableString| {
            remove(&context, list, &FnPtr::new(function)?, Removed::Failing)
        });
}
