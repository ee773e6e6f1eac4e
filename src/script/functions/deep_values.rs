//! Shows and compares arrays and maps of a bounded depth. The engine's own functions call themselves for each level, and
//! running out of stack would end the process.

#![allow(clippy::needless_pass_by_value, reason = "the engine gives contexts and closures by value")]

use crate::script::host::{
    error::{ScriptError, ScriptResult},
    value::{MAX_LEVELS, describe_type},
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, Map, NativeCallContext};

fn is_within(value: &Dynamic, levels: usize) -> bool {
    if let Some(list) = value.read_lock::<Array>() {
        return levels > 0 && list.iter().all(|entry| is_within(entry, levels - 1));
    }
    if let Some(map) = value.read_lock::<Map>() {
        return levels > 0 && map.values().all(|entry| is_within(entry, levels - 1));
    }
    true
}

/// Whether entries are of a value that can be shown and compared.
fn are_within<'a>(mut entries: impl Iterator<Item = &'a Dynamic>) -> bool {
    entries.all(|entry| is_within(entry, MAX_LEVELS - 1))
}

/// What stands for the entries of a value that is too deep to be shown. No error: the engine shows a value in a text by
/// its own function when ours fails.
fn too_deep() -> String {
    format!("nested more than {MAX_LEVELS} levels deep")
}

/// Refuses the entries of values that are too deep to be compared.
fn comparable<'a>(entries: impl Iterator<Item = &'a Dynamic>) -> ScriptResult<()> {
    if are_within(entries) {
        return Ok(());
    }
    let message = format!("these values can't be compared: one is {}", too_deep());
    Err(ScriptError::usage(message, "does a loop put a list into itself? keep it flat").raise())
}

fn shown(context: &NativeCallContext, entry: &mut Dynamic) -> String {
    let text = context.call_native_fn_raw("to_debug", true, &mut [entry]);
    text.ok()
        .and_then(|text| text.into_immutable_string().ok())
        .map_or_else(|| describe_type(entry), |text| text.to_string())
}

fn show_list(context: NativeCallContext, list: &mut Array) -> String {
    if !are_within(list.iter()) {
        return format!("[{}]", too_deep());
    }
    let entries: Vec<String> = list.iter_mut().map(|entry| shown(&context, entry)).collect();
    format!("[{}]", entries.join(", "))
}

fn show_map(context: NativeCallContext, map: &mut Map) -> String {
    if !are_within(map.values()) {
        return format!("#{{{}}}", too_deep());
    }
    let entries: Vec<String> = map
        .iter_mut()
        .map(|(key, value)| format!("{:?}: {}", key.as_str(), shown(&context, value)))
        .collect();
    format!("#{{{}}}", entries.join(", "))
}

/// Whether two entries are equal; values of different kinds that can't be compared are not.
fn same(context: &NativeCallContext, a: &mut Dynamic, b: &mut Dynamic) -> ScriptResult<bool> {
    let is_one_kind = a.type_id() == b.type_id();
    match context.call_native_fn_raw("==", true, &mut [a, b]) {
        Ok(answer) => Ok(answer.as_bool().unwrap_or_default()),
        Err(error) => match *error {
            EvalAltResult::ErrorFunctionNotFound(..) if !is_one_kind => Ok(false),
            error => Err(error.into()),
        },
    }
}

fn same_lists(context: &NativeCallContext, a: &mut Array, mut b: Array) -> ScriptResult<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    comparable(a.iter().chain(&b))?;
    for (a, b) in a.iter_mut().zip(&mut b) {
        if !same(context, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_maps(context: &NativeCallContext, a: &mut Map, mut b: Map) -> ScriptResult<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    comparable(a.values().chain(b.values()))?;
    for (key, a) in a {
        let Some(b) = b.get_mut(key) else { return Ok(false) };
        if !same(context, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn register(engine: &mut Engine) {
    for name in ["print", "debug", "to_string", "to_debug"] {
        engine.register_fn(name, show_list).register_fn(name, show_map);
    }
    engine
        .register_fn("==", |context: NativeCallContext, a: &mut Array, b: Array| same_lists(&context, a, b))
        .register_fn("!=", |context: NativeCallContext, a: &mut Array, b: Array| {
            same_lists(&context, a, b).map(|is_same| !is_same)
        })
        .register_fn("==", |context: NativeCallContext, a: &mut Map, b: Map| same_maps(&context, a, b))
        .register_fn("!=", |context: NativeCallContext, a: &mut Map, b: Map| {
            same_maps(&context, a, b).map(|is_same| !is_same)
        });
}
