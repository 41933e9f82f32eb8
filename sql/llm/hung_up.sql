-- The connection of a call to its provider ended before the answer did, since whoever asked went away; egress tells it, a
-- moment later. If the gateway did not settle the call itself, its host dropped it: what was noted of it counts.
--   attempt   `<call>.<number of the attempt>`, as the gateway named it
create or replace function llm.hung_up(attempt text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    c llm.call;
begin
    select k.* into c from llm.call k
    where k.id = platform.uuid_of(split_part(hung_up.attempt, '.', 1)) and k.status = 'running'
    and k.attempt::text = split_part(hung_up.attempt, '.', 2);
    if found then
        perform llm.lock_payers(c.payers, at);
        perform llm.book(k.id, 'cancelled', llm.cost(k.price, k.input_tokens, 0, 0, k.output_tokens), at)
        from llm.call k where k.id = c.id and k.attempt = c.attempt and k.status = 'running';
    end if;
end
$$;
grant execute on function llm.hung_up to gather_egress;
