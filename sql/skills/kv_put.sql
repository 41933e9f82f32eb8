-- Sets or (null) deletes a key within the quota. Calls at the same time wait for each other at the
-- total's row, so that none can exceed it. Returns false if the quota is too small.
create or replace function skills.kv_put(skill uuid, bucket text, key text, value bytea, max_bytes bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    total bigint;
    before bigint;
    after bigint := skills.kv_size(kv_put.bucket, kv_put.key, kv_put.value);
begin
    insert into skills.kv_total (skill_id) values (kv_put.skill) on conflict do nothing;
    select t.bytes into total from skills.kv_total t where t.skill_id = kv_put.skill for update;
    select skills.kv_size(k.bucket, k.key, k.value) into before
    from skills.kv k where k.skill_id = kv_put.skill and k.bucket = kv_put.bucket and k.key = kv_put.key;
    total := total - coalesce(before, 0) + after;
    if after > coalesce(before, 0) and total > kv_put.max_bytes then
        return false;
    end if;
    if kv_put.value is null then
        delete from skills.kv k
        where k.skill_id = kv_put.skill and k.bucket = kv_put.bucket and k.key = kv_put.key;
    else
        insert into skills.kv (skill_id, bucket, key, value)
        values (kv_put.skill, kv_put.bucket, kv_put.key, kv_put.value)
        on conflict on constraint kv_pkey do update set value = excluded.value;
    end if;
    update skills.kv_total t set bytes = total where t.skill_id = kv_put.skill;
    return true;
end
$$;
grant execute on function skills.kv_put to gather_sandbox;
