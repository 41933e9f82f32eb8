-- The request of an attempt is on its way to its provider; egress tells it, beside sending it. From now on the call costs
-- something even if nobody hears the answer. What comes late changes nothing.
--   attempt   `<call>.<number of the attempt>`, as the gateway named it
create or replace function llm.sent(attempt text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update llm.call k set attempt = n.number
    from (select substring(split_part(sent.attempt, '.', 2) from '^[1-9][0-9]?$')::smallint as number) n
    where k.id = platform.uuid_of(split_part(sent.attempt, '.', 1)) and k.status = 'running' and abs(k.attempt) < n.number
$$;
grant execute on function llm.sent to gather_egress;
