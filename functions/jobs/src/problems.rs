//! The codes of this function's problems.

guest::problems! {
    "job-finished" => "The job has ended, so it can't be cancelled. Read it to see how it ended.",
    "job-not-dead" => "Only a dead job can be retried. The others run by themselves, or have ended.",
    "job-superseded" => "The same work has been asked for again since the job died, and is not finished. Wait for that job.",
}
