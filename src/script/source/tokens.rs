//! The tokens of a text, whether it can be parsed or not.

use rhai::{Engine, Position, Token};

/// The tokens of a text with their positions, up to its end. What can't be a token is there as an error.
pub(crate) fn tokens(text: &str) -> Vec<(Token, Position)> {
    let engine = Engine::new_raw();
    let texts = [text];
    let (iterator, control) = engine.lex(texts.iter());
    let mut tokens = Vec::new();
    // For each `${` that is open, the braces that are open within it.
    let mut interpolations: Vec<usize> = Vec::new();
    for (token, position) in iterator {
        match &token {
            Token::EOF => break,
            Token::InterpolatedString(_) => interpolations.push(0),
            Token::LeftBrace | Token::MapStart => {
                if let Some(open) = interpolations.last_mut() {
                    *open += 1;
                }
            }
            Token::RightBrace => {
                if let Some(open) = interpolations.last_mut() {
                    *open = open.saturating_sub(1);
                    if *open == 0 {
                        interpolations.pop();
                        // What follows is the rest of the text between back-ticks.
                        control.borrow_mut().is_within_text = true;
                    }
                }
            }
            _ => {}
        }
        tokens.push((token, position));
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_back_ticks_is_no_bracket() {
        let tokens = tokens("f(`甲 ( ${g(\"{\", #{a: `${1}`})} [ 乙`, '(')");
        let brackets = tokens.iter().filter(|(token, _)| {
            matches!(token, Token::LeftParen | Token::RightParen | Token::LeftBracket | Token::MapStart)
        });
        assert_eq!(brackets.count(), 5);
    }

    #[test]
    fn what_can_not_be_a_token_ends_nothing() {
        let tokens = tokens("let x = § 1; let y = 2;");
        assert_eq!(tokens.iter().filter(|(token, _)| *token == Token::Let).count(), 2);
    }
}
