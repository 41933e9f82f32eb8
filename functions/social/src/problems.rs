//! The problem codes of this function.

guest::problems! {
    "comment-locked" => "A moderator has locked or hidden the comment, so nothing about it can be changed.",
    "post-locked" => "A moderator has locked or hidden the post, so nothing about it or its comments can be changed.",
    "report-resolved" => "Another moderator has resolved the report. Read it to see how.",
    "thread-too-deep" => "Comments nest 500 deep at most. Answer one further up.",
    "version-conflict" => "The object has changed since the version that the request names. Read it again, and decide again.",
}
