-- Adds to a number that is kept as text (wasi:keyvalue/atomics), one call after another. Returns the
-- new number; null if the value is not a number or the quota is too small.
create or replace function skills.kv_increment(skill uuid, bucket text, key text, delta bigint, max_bytes bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    current bytea;
    number bigint;
begin
    insert into skills.kv_total (skill_id) values (kv_increment.skill) on conflict do nothing;
    perform from skills.kv_total t where t.skill_id = kv_increment.skill for update;
    select k.value into current from skills.kv k
    where k.skill_id = kv_increment.skill and k.bucket = kv_increment.bucket and k.key = kv_increment.key;
    begin
        number := coalesce(convert_from(current, 'UTF8')::bigint, 0) + kv_increment.delta;
    exception when data_exception then
        return null;
    end;
    if not skills.kv_put(kv_increment.skill, kv_increment.bucket, kv_increment.key,
        convert_to(number::text, 'UTF8'), kv_increment.max_bytes) then
        return null;
    end if;
    return number;
end
$$;
grant execute on function skills.kv_increment to gather_sandbox;
