-- Takes a lease on some of a bucket's requests of this minute. All leases together never exceed the quota.
create or replace function identity.lease(bucket text, quota integer, exact boolean) returns jsonb
language plpgsql
as $$
declare
    moment timestamptz := clock_timestamp();
    first integer := identity.share(quota, exact);
    taken identity.allowance;
begin
    insert into identity.allowance as a (bucket, used, granted, ends_at)
    values (lease.bucket, first, first, moment + interval '1 minute')
    on conflict on constraint allowance_pkey do update set
        granted = case when a.ends_at <= moment then first else identity.share(quota - a.used, exact) end,
        used = case when a.ends_at <= moment then first else a.used + identity.share(quota - a.used, exact) end,
        ends_at = case when a.ends_at <= moment then moment + interval '1 minute' else a.ends_at end
    returning a.* into taken;
    return jsonb_build_object('granted', taken.granted, 'free', greatest(quota - taken.used, 0),
        'ends_in_ms', greatest((extract(epoch from taken.ends_at - moment) * 1000)::integer, 0));
end
$$;
