-- The accounts that decide about an agent's calls of tools: of those whom its owner has named, all that still can, and its
-- owner if none can.
create or replace function circles.approvers_of(agent uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(nullif(array(
        select a from unnest(s.approvers) a where a <> s.account_id and circles.may_decide(a, s.owner_id)), '{}'),
        array[s.owner_id])
    from circles.seat s where s.account_id = agent
$$;
