-- Whether an account may read a topic. This is the only definition: history, access, sockets and subscriptions use it.
-- False for an unknown kind, a malformed id and an object that does not exist.
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
grant execute on function events.may_read(uuid, text) to gather_events, gather_realtime;
