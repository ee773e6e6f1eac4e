//! Enums that a column holds as text: one declaration gives the words, their decoding and the list of all of them.

/// Declares an enum whose variants are stored and shown as the given words. Decoding is strict: any other text is
/// `StoreError::Decode`, which names the row.
macro_rules! stored_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        $vis enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All variants, in the order of their declaration.
            $vis const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that it is stored and shown by.
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The variant of a word, if there is one.
            #[must_use]
            $vis fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|variant| variant.as_str() == word)
            }

            /// The variant that a column holds.
            $vis fn decode(
                table: &'static str,
                row: &str,
                column: &'static str,
                found: &str,
            ) -> Result<Self, $crate::store::StoreError> {
                Self::from_word(found).ok_or_else(|| $crate::store::StoreError::Decode {
                    table,
                    row: row.to_owned(),
                    column,
                    expected: concat!("one of" $(, " `", $word, "`")+).to_owned(),
                    found: format!("`{found}`"),
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(super) use stored_enum;
