-- Starts work by events from now on, in the caller's statement. The same name again changes the subscription, and
-- no event is missed or taken twice by that. Returns its id.
--   owner      the account that it is for; events that it may not read when they are matched start nothing
--   name       the caller's own name for it, such as `webhook:<id>`
--   topics     100 at most; null: every topic that the owner may read. `all:all` is every topic, for administrators
--   types      `message.created`, `message.*`; null: every type. One of both has to be said
--   condition  the JSON that the event's data has to contain, as for `@>`; null: nothing
--   kind       the component that does the work; the caller's role has to be one that may enqueue it
--   argument   the argument of the work, besides the event
--   queue      jobs of one queue run one after another
-- An event starts one job of a subscription, however many of its topics fit. The job is the platform's own; its payload
-- is {"subscription", "owner", "argument", "event"}, where `event` says which it was and `events.find` has its data.
create or replace function events.subscribe(
    owner uuid,
    name text,
    topics text[],
    types text[],
    condition jsonb,
    kind text,
    argument jsonb default '{}',
    queue text default null
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid;
begin
    -- The role of the caller, and not of this function, is checked. The function's owner may do everything.
    if session_user <> current_user and not exists (
        select from jobs.enqueuer e where e.role = session_user and e.kind = subscribe.kind
    ) then
        raise exception 'the role % may not have work of the kind % started', session_user, subscribe.kind
            using errcode = 'insufficient_privilege', hint = 'add a row to jobs.enqueuer in a migration';
    end if;
    insert into events.subscription as s (owner, role, name, topics, types, condition, kind, argument, queue)
    values (subscribe.owner, session_user, subscribe.name, subscribe.topics, subscribe.types, subscribe.condition,
        subscribe.kind, subscribe.argument, subscribe.queue)
    on conflict on constraint subscription_name_key do update
    set owner = excluded.owner, topics = excluded.topics, types = excluded.types, condition = excluded.condition,
        kind = excluded.kind, argument = excluded.argument, queue = excluded.queue
    returning s.id into made;
    return made;
end
$$;
