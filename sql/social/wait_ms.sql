-- The time that an account must wait before it may post again: one younger than a day may post 5 times an hour. Null:
-- not at all. Posts of one young account take turns, or more of them could pass at the same moment.
create or replace function social.wait_ms(account uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    free_at timestamptz;
begin
    perform from identity.account a
    where a.id = wait_ms.account and a.created_at > now() - interval '1 day' for no key update;
    if not found then
        return null;
    end if;
    select p.created_at + interval '1 hour' into free_at from social.post p
    where p.author_id = wait_ms.account and p.created_at > now() - interval '1 hour'
    order by p.created_at desc offset 4 limit 1;
    if not found then
        return null;
    end if;
    return social.refused('new-account', ceil(extract(epoch from free_at - clock_timestamp()) * 1000)::bigint);
end
$$;
