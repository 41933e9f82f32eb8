//! The codes of this function's problems.

guest::problems! {
    "approval-changed" => "What is to be approved has another digest than you named. Read the approval again, and decide about what it says now.",
    "approval-decided" => "The approval has ended, or you have decided already; `state` says how it stands. Each account decides once.",
    "approval-expired" => "The time to decide is over. Whoever asked can ask again.",
}
