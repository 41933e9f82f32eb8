//! The problem codes of this function.

guest::problems! {
    "history-gone" => "Some of what happened since the position that you name is not kept any more; `oldest` is the oldest position that is. Read the topic's things anew, and go on from there.",
}
