//! The problem codes of this function.

guest::problems! {
    "delivery-waiting" => "The delivery is already waiting to be sent. Read it to see when.",
    "hook-refused" => "Senders to a hook must sign with its secret, or send it. Check the secret, that the body is signed exactly as it is sent, and the clock: a signature is valid for five minutes.",
    "too-many-hooks" => "An account can have at most 50 hooks. Delete one first.",
    "too-many-secrets" => "A webhook can have at most five valid secrets. A replaced secret is valid for a day; rotate again then.",
    "too-many-webhooks" => "An account can have at most 50 webhooks. Delete one first.",
    "webhook-disabled" => "Nothing is sent to a disabled webhook: its receiver answered that it is gone, or accepted nothing for a day. Enable the webhook first.",
}
