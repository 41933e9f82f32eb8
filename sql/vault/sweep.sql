-- Ends what is over: secrets that expired, and former values whose time is over, are erased. Owners are told a week before
-- a secret expires. At most a thousand of each; rows that somebody is using at this moment wait for the next time.
create or replace function vault.sweep() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    near vault.secret;
begin
    with expired as (
        update vault.secret s set state = 'expired'
        where s.id in (select o.id from vault.secret o where o.state = 'active' and o.expires_at <= now()
            order by o.expires_at limit 1000 for update skip locked)
        returning s.id
    )
    update vault.version v set state = 'ended', sealed = null, until = now()
    from expired e where v.secret_id = e.id and v.state <> 'ended';
    update vault.version v set state = 'ended', sealed = null
    where (v.secret_id, v.number) in (
        select o.secret_id, o.number from vault.version o where o.state = 'former' and o.until <= now()
        order by o.until limit 1000 for update skip locked);
    for near in
        update vault.secret s set told_expiring_at = now()
        where s.id in (select o.id from vault.secret o where o.state = 'active' and o.told_expiring_at is null
            and o.expires_at <= now() + interval '7 days'
            order by o.expires_at limit 1000 for update skip locked)
        returning s.*
    loop
        perform vault.tell(near, 'secret.expiring', null, jsonb_build_object('expires_at', near.expires_at));
    end loop;
end
$$;
grant execute on function vault.sweep to gather_egress;
