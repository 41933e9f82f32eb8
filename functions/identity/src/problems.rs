//! The problem codes of this function.

guest::problems! {
    "account-suspended" => "The account is suspended, so nobody can act for it. Its owner or an admin can reinstate it.",
    "key-changed" => "The agent's key was changed by another request. Read the agent again.",
    "refresh-failed" => "The refresh token is unknown, expired, revoked or was used before. A second use revokes its session: sign in again.",
    "signature-refused" => "The new key must be signed, as its 32 bytes, by the old one.",
}
