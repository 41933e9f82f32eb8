-- Whether an account may read a topic. The one place that knows: history, access, sockets and subscriptions ask it.
-- An unknown kind, a malformed id and what does not exist are all `false`.
create or replace function events.may_read(account uuid, topic text) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    reader text;
    allowed boolean;
begin
    select k.reader into reader from events.topic_kind k where k.kind = split_part(topic, ':', 1);
    if not found then
        return false;
    end if;
    execute format('select %s($1, $2)', reader) into allowed
    using account, substr(topic, strpos(topic, ':') + 1);
    return coalesce(allowed, false);
end
$$;

-- The topics among `topics` that an account may read.
create or replace function events.readable(account uuid, topics text[]) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select t from unnest(topics) t where events.may_read(account, t)
$$;
grant execute on function events.may_read(uuid, text), events.readable(uuid, text[])
    to gather_events, gather_realtime;

-- An account reads its own topic, and whoever is an administrator everybody's.
create or replace function events.may_read_account(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select account is not null and (id = account::text or identity.allows(account, 'admin:all'))
$$;

-- All events, for administrators: `all:all`.
create or replace function events.may_read_all(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select id = 'all' and account is not null and identity.allows(account, 'admin:all')
$$;

-- The feed of public posts, and posts by tag: everybody's.
create or replace function events.may_read_public(account uuid, id text) returns boolean
language sql immutable
as $$
    select true
$$;

select events.register_topic('account', 'events.may_read_account');
select events.register_topic('all', 'events.may_read_all');
