//! The changes of claws' statuses that are disturbed.

/// A change of the status of a claw that is disturbed.
pub struct Case {
    pub from: &'static str,
    pub to: &'static str,
    /// What is asked for over HTTP or happens to the container, by which the change comes.
    pub act: Act,
    /// The statuses from the change on, undisturbed.
    pub then: &'static [&'static str],
}

/// What makes a claw change.
#[derive(Clone, Copy, PartialEq)]
pub enum Act {
    /// Nothing but the work that waits.
    Work,
    /// A command of its owner.
    Ask(&'static str),
    /// A heartbeat.
    Beat,
    /// Its container ends, and is looked at.
    Ends,
    /// As that, after it was begun anew five times.
    EndsAgain,
    /// It was unwell for long enough.
    Waits,
    /// Its work can't be read, and is given up.
    Spoilt,
    /// It is paused and resumed at once, or resumed, and its container is gone.
    Lost,
}

const fn case(
    from: &'static str,
    to: &'static str,
    act: Act,
    then: &'static [&'static str],
) -> Case {
    Case {
        from,
        to,
        act,
        then,
    }
}

const ANEW: &[&str] = &["requested", "provisioning"];
const GONE: &[&str] = &["deleting"];

/// Every change that there is: the test compares it with the diagram in the database.
pub const CASES: [Case; 29] = [
    case("requested", "provisioning", Act::Work, &["provisioning"]),
    case("requested", "stopped", Act::Ask("stop"), &["stopped"]),
    case("requested", "failed", Act::Spoilt, &["failed"]),
    case("requested", "deleting", Act::Ask("delete"), GONE),
    case("provisioning", "running", Act::Beat, &["running"]),
    case("provisioning", "requested", Act::Ends, ANEW),
    case("provisioning", "stopped", Act::Ask("stop"), &["stopped"]),
    case("provisioning", "failed", Act::Ends, &["failed"]),
    case("provisioning", "deleting", Act::Ask("delete"), GONE),
    case("running", "paused", Act::Ask("pause"), &["paused"]),
    case(
        "running",
        "unhealthy",
        Act::Ends,
        &["unhealthy", "requested", "provisioning"],
    ),
    case("running", "requested", Act::Ask("restart"), ANEW),
    case("running", "stopped", Act::Ask("stop"), &["stopped"]),
    case("running", "failed", Act::Lost, &["failed"]),
    case("running", "deleting", Act::Ask("delete"), GONE),
    case("paused", "running", Act::Ask("resume"), &["running"]),
    case("paused", "requested", Act::Ask("restart"), ANEW),
    case("paused", "stopped", Act::Ask("stop"), &["stopped"]),
    case("paused", "failed", Act::Lost, &["failed"]),
    case("paused", "deleting", Act::Ask("delete"), GONE),
    case("unhealthy", "running", Act::Beat, &["running"]),
    case("unhealthy", "requested", Act::Waits, ANEW),
    case("unhealthy", "stopped", Act::Ask("stop"), &["stopped"]),
    case(
        "unhealthy",
        "failed",
        Act::EndsAgain,
        &["unhealthy", "failed"],
    ),
    case("unhealthy", "deleting", Act::Ask("delete"), GONE),
    case("stopped", "requested", Act::Ask("start"), ANEW),
    case("stopped", "deleting", Act::Ask("delete"), GONE),
    case("failed", "requested", Act::Ask("start"), ANEW),
    case("failed", "deleting", Act::Ask("delete"), GONE),
];

impl Case {
    /// Whether a request makes the change in its own statement, and not a job after it.
    pub fn is_asked_for(&self) -> bool {
        matches!(
            self.act,
            Act::Ask("delete" | "restart" | "start") | Act::Beat
        )
    }
}

/// Tries every change of a status against the trigger that checks them, and lists those that it lets pass.
pub const DIAGRAM: &str = "
create function public.diagram() returns setof text language plpgsql as $$
declare
    statuses text[] := (select array_agg(m[1]) from regexp_matches((
        select pg_get_constraintdef(oid) from pg_constraint where conname = 'claw_status_known'), '''([a-z]+)''', 'g') m);
    one text;
    other text;
begin
    create temporary table tried (status text);
    create trigger tried before update on tried for each row execute function claws.check_transition();
    foreach one in array statuses loop
        foreach other in array statuses loop
            continue when one = other;
            delete from tried;
            insert into tried values (one);
            begin
                update tried set status = other;
                return next one || ' ' || other;
            exception when check_violation then
                null;
            end;
        end loop;
    end loop;
end
$$";

/// Lets the change of a claw that a row names wait for a lock of the test's before it is committed, the first time.
pub const FAILPOINTS: &str = "
create table public.failpoint (claw_id uuid primary key, from_status text, to_status text, number integer);
create function public.pass() returns trigger language plpgsql security definer as $$
begin
    perform pg_advisory_xact_lock(f.number) from public.failpoint f
    where f.claw_id = new.claw_id and f.from_status = new.from_status and f.to_status = new.to_status;
    return null;
end
$$;
create trigger pass after insert on claws.change for each row execute function public.pass()";

/// Lets changes wait for as long as the test wants.
pub const PATIENT: &str = "do $$ begin
    execute format('alter role gather_claw_provision in database %I set statement_timeout = 0', current_database());
    execute format('alter role gather_worker in database %I set statement_timeout = 0', current_database());
end $$";
