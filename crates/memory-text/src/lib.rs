//! Texts of memories: the words by which they are found, and credentials, which none of them may hold.

pub mod credential;
pub mod terms;
