//! The problem codes of this function.

guest::problems! {
    "job-finished" => "The job has ended, so it can't be cancelled. Read it to see how it ended.",
    "job-not-dead" => "Only a dead job can be retried. Other jobs run by themselves or have ended.",
    "job-superseded" => "The same work was requested again after the job died, and has not finished. Wait for that job.",
}
