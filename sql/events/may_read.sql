-- Whether an account may read a topic. History, access, sockets and subscriptions use this definition. A credential with
-- fewer scopes than its account's does not administer: `administers` is whether it has the scope itself.
create or replace function events.may_read(account uuid, topic text, administers boolean default true) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(events.right_to(account, topic) = any (
        case when administers then '{own,admin}'::text[] else '{own}' end), false)
$$;
grant execute on function events.may_read(uuid, text, boolean) to gather_events, gather_realtime;
