-- Replaces a value if it is still the one that was read (wasi:keyvalue/atomics). Returns `done`, `changed`
-- or `full`.
create or replace function skills.kv_swap(
    skill uuid, bucket text, key text, seen bytea, value bytea, max_bytes bigint
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    current bytea;
begin
    insert into skills.kv_total (skill_id) values (kv_swap.skill) on conflict do nothing;
    perform from skills.kv_total t where t.skill_id = kv_swap.skill for update;
    select k.value into current from skills.kv k
    where k.skill_id = kv_swap.skill and k.bucket = kv_swap.bucket and k.key = kv_swap.key;
    if current is distinct from kv_swap.seen then
        return 'changed';
    end if;
    if not skills.kv_put(kv_swap.skill, kv_swap.bucket, kv_swap.key, kv_swap.value, kv_swap.max_bytes) then
        return 'full';
    end if;
    return 'done';
end
$$;
grant execute on function skills.kv_swap to gather_sandbox;
