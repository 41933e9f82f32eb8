-- Records a refused access, at most a hundred a minute for each account.
create or replace function identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if (identity.lease('refused:account:' || actor, 100, true) ->> 'granted')::integer > 0 then
        perform audit.record(actor, 'access.refused', refuse_access.subject, false, refuse_access.address,
            refuse_access.request_id, jsonb_build_object('scope', scope));
    end if;
end
$$;
select platform.grant_to_functions('identity.refuse_access');
