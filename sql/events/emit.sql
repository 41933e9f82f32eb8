-- Writes an event in the caller's statement, once for each topic, and returns its id.
--   topics    the topics that it concerns: `channel:<id>`, `account:<id>`, …
--   type      the type, such as `message.created`; a role may only write types with its prefixes in `events.emitter`
--   data      the data for readers, 256 KiB at most
--   subject   the object whose content `data` carries, such as `message:<id>`
--   actor     the account that did it
--   audience  the only accounts that may see it, of those that may read the topic; null: all of those
--   by_job    the job that emits it, whose own starting event is thereby the cause of this one
-- Without `by_job`, its cause is what `events.follow` has said in this transaction.
create or replace function events.emit(
    topics text[],
    type text,
    data jsonb,
    subject text default null,
    actor uuid default null,
    audience uuid[] default null,
    by_job uuid default null
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    event uuid := platform.uuid_v7();
    parent jobs.job;
begin
    -- The role of the caller, and not of this function, is checked. The function's owner may do everything.
    if session_user <> current_user and emit.type <> 'access.changed' and not exists (
        select from events.emitter e where e.role = session_user and starts_with(emit.type, e.prefix)
    ) then
        raise exception 'the role % may not emit events of the type %', session_user, emit.type
            using errcode = 'insufficient_privilege', hint = 'add a row to events.emitter in a migration';
    end if;
    if emit.by_job is not null then
        select j.* into parent from jobs.job j where j.id = emit.by_job;
    end if;
    insert into events.event (id, topic, type, data, subject, actor, audience, cause, depth)
    select event, t.topic, emit.type, emit.data, emit.subject, emit.actor, emit.audience,
        coalesce(parent.cause, nullif(current_setting('events.cause', true), '')::uuid),
        coalesce(parent.depth, nullif(current_setting('events.depth', true), '')::integer, 0)
    from (select distinct unnest(emit.topics) as topic) t;
    return event;
end
$$;
grant execute on function events.emit(text[], text, jsonb, text, uuid, uuid[], uuid)
    to gather_skills;
