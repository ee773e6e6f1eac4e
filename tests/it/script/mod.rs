//! Functions of the script language, run by the real program.

mod blacklist;
mod callback;
mod captured;
mod card;
mod closures;
mod comparisons;
mod growth;
mod json;
mod media;
mod oauth;
mod openids;
mod tag_name;
mod text_files;
mod times;
mod undeclared;
