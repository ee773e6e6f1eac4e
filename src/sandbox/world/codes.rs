//! Created QR codes, by ticket.

use std::collections::HashMap;

/// The scene that a code stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    Number(u32),
    Text(String),
}

/// One code.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub scene: Scene,
    /// Absent for a permanent code.
    pub expires: Option<i64>,
}

/// Limit of remembered codes, twice that of permanent ones. When it is reached, all of those that end are dropped.
const MAX_CODES: usize = 200_000;

/// All created codes.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    by_ticket: HashMap<String, Code>,
    pub permanent: usize,
}

impl Codes {
    pub(crate) fn get(&self, ticket: &str) -> Option<&Code> {
        self.by_ticket.get(ticket)
    }

    pub(crate) fn insert(&mut self, ticket: String, code: Code) {
        if self.by_ticket.len() == MAX_CODES {
            self.by_ticket.retain(|_, code| code.expires.is_none());
        }
        self.by_ticket.insert(ticket, code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_end_are_dropped_when_there_are_too_many() {
        let mut codes = Codes::default();
        codes.insert("长期".to_owned(), Code { scene: Scene::Number(1), expires: None });
        for number in 1..=MAX_CODES {
            codes.insert(number.to_string(), Code { scene: Scene::Number(2), expires: Some(60) });
        }
        assert_eq!(codes.by_ticket.len(), 2);
        assert!(codes.get("长期").is_some() && codes.get(&MAX_CODES.to_string()).is_some());
    }
}
