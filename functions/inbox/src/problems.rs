//! The problem codes of this function.

guest::problems! {
    "approval-changed" => "The approval has another `digest` than you named. Read it again, and decide about what it says now.",
    "approval-decided" => "The approval has ended, or you have already decided; `state` has its present state. Each account decides once.",
    "approval-expired" => "The time to decide is over. The account that asked can ask again.",
    "approver-required" => "Only the accounts that were asked may decide; `who` of the approval names them.",
    "self-approval" => "The account that asks for an approval can't give it, nor can the agents that it owns. Somebody else of those who are asked decides.",
}
