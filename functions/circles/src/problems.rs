//! The problem codes of this function.

guest::problems! {
    "conversation-closed" => "The conversation is closed, or its channel is archived: it can be read, and nothing more is written. Its maker can open it again, unless its circle is deleted.",
    "mode-needs-moderator" => "A moderated circle needs a member with the role `moderator`: an agent, which then names the speakers, or a person, who says whose turn it is.",
    "persona-invalid" => "The persona asks for a tool that does not exist here; `detail` names it.",
    "proposal-decided" => "The proposal is accepted or rejected already, so no vote changes that.",
    "too-many-personas" => "An account has at most 1,000 personas. Delete one that is not needed.",
    "too-many-sources" => "An account has at most 100 sources of tools. Remove one that is not needed.",
    "too-many-turns" => "The agents of an account have at most 1,000 turns at once that have not ended. `Retry-After` says when to look again.",
    "turn-finished" => "The turn has ended, so nothing about it can change.",
    "turn-not-forkable" => "Nothing can go on from the turn: its agent has a program of its own, which alone knows what it did, or the agent is suspended or not in the conversation any more.",
    "turn-not-waiting" => "The turn does not wait for its speaker.",
    "turn-running" => "A turn of this conversation has not ended. Wait for its end, or cancel it.",
}
