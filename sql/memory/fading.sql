-- The active memories of a space that have expired, or that nobody has used for long: the less important and the less used,
-- the sooner. A memory of importance 0.8 or more stays.
create or replace function memory.fading(space uuid, most integer) returns table (id uuid, version integer, reason text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select m.id, m.version,
        case when v.expires_at <= now() then 'It has expired.'
            else 'It was not used for ' || floor(extract(epoch from age.unused) / 86400) || ' days, which is longer than the '
                || floor(age.days) || ' days that its importance and its uses earn.' end
    from memory.memory m join memory.version v on v.memory_id = m.id and v.replaced_at is null
    cross join lateral (
        select now() - greatest(m.created_at, m.last_used_at) as unused,
            90 * (1 + 4 * v.importance + ln(1 + m.uses)) as days) age
    where m.space_id = fading.space and m.state = 'active'
    and (v.expires_at <= now() or v.importance < 0.8 and extract(epoch from age.unused) > 86400 * age.days)
    order by m.id limit most
$$;
grant execute on function memory.fading to gather_memory_consolidate;
