-- Takes shares of the limits of accounts for an edge, as of requests that pass there.
create or replace function edge.lease(accounts uuid[], quota integer) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object('account', l.account, 'granted', (l.lease ->> 'granted')::integer,
        'until', now() + (l.lease ->> 'ends_in_ms')::integer * interval '1 millisecond')), '[]')
    from (
        select a.account, identity.lease('edge:account:' || a.account, quota, false) as lease
        -- In one order, so that two leases of the same accounts do not wait for each other.
        from (select distinct unnest(accounts) as account order by 1) a
    ) l
$$;
grant execute on function edge.lease(uuid[], integer) to gather_edge;
