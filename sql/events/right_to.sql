-- The right by which an account may read a topic: `own`, or `admin` where only administrators have it; null for none.
-- There is none to an unknown kind and by a malformed id, and none of its own to an object that does not exist.
create or replace function events.right_to(account uuid, topic text) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    kind events.topic_kind;
    allowed boolean;
begin
    select * into kind from events.topic_kind k where k.kind = split_part(topic, ':', 1);
    if not found then
        return null;
    end if;
    execute format('select %s($1, $2)', kind.reader) into allowed
    using account, substr(topic, strpos(topic, ':') + 1);
    return case
        when allowed then 'own'
        when kind.administered and account is not null and identity.allows(account, 'admin:all') then 'admin'
    end;
end
$$;
grant execute on function events.right_to(uuid, text) to gather_realtime;
