//! The problem codes of this function.

guest::problems! {
    "channel-archived" => "The channel is archived: it can be read, and nothing in it changes. An owner can open it again.",
    "direct-channel" => "A direct channel always has the same members: nobody can join, leave or be removed, and the channel can't be changed or deleted. You can hide it in its settings.",
    "message-locked" => "A moderator has locked or hidden the message, so it can't be changed.",
    "too-many-reactions" => "A message has at most 50 kinds of reactions. Use one of the existing kinds.",
}
