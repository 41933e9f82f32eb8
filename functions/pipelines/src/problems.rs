//! The problem codes of this function.

guest::problems! {
    "bad-signature" => "The sender of a request to a webhook of a pipeline is not known: its signature is missing, wrong or too old.",
    "invalid-cron" => "The cron expression can't be read. It has five fields, or six with seconds; `L`, `W` and `#` are allowed.",
    "invalid-definition" => "The definition of a pipeline has problems. `problems` names all of them, each with its path, a code and a text. Nothing was stored.",
    "invalid-timezone" => "The time zone is unknown. Use a name of the IANA, such as `Europe/Berlin`.",
    "pipeline-archived" => "The pipeline is archived, so it can't be changed, and nothing starts it.",
    "pipeline-paused" => "The pipeline is paused, so no run of it starts. Set `paused` to false first.",
    "run-finished" => "The run has ended, so it can't be changed. Start it again, or restart it from a step.",
    "runs-unfinished" => "The pipeline has runs that have not ended. Wait for them, or archive it with `cancel=true`.",
    "schedule-in-the-past" => "The schedule has no time that is still to come. Give it a later one.",
    "step-not-uncertain" => "Only a step whose request may or may not have arrived is decided by hand. Read the step to see its state.",
    "too-many-pipelines" => "An account can have at most 1,000 pipelines. Archive one first.",
    "too-many-runs" => "An account can have at most 1,000 runs that have not ended. Wait for one to end, or cancel one.",
    "too-many-schedules" => "An account can have at most 1,000 schedules. Delete one first.",
    "too-many-signals" => "A run keeps at most 1,000 signals.",
    "too-many-triggers" => "A pipeline can have at most 50 triggers. Delete one first.",
    "unknown-step" => "The definition of the run does not have this step, or it has not ended, so that nothing can be taken over from it.",
    "unknown-version" => "The pipeline does not have a version of this number.",
}
