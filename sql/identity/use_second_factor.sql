-- Uses up a code of the second factor: that of a time step, or a recovery code.
create or replace function identity.use_second_factor(account uuid, step bigint, code bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if step is not null then
        update identity.person p set totp_step = step
        where p.account_id = account and (p.totp_step is null or p.totp_step < step);
    else
        update identity.recovery_code r set used_at = now()
        where r.account_id = account and r.hash = code and r.used_at is null;
    end if;
    return found;
end
$$;
grant execute on function identity.use_second_factor to gather_people;
