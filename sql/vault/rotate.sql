-- Gives a secret another value, which is sealed to `number`. The former one may be used for a while still, if asked for.
-- A secret that was deleted or has expired stays so; one that changed meanwhile is refused.
create or replace function vault.rotate(actor uuid, secret uuid, number integer, sealed bytea, overlap_ms bigint,
    client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    rotated vault.secret;
begin
    rotated := vault.managed(actor, rotate.secret::text, array[(rotate.number - 1)::text]);
    if rotated.state = 'expired' or rotated.expires_at <= now() then
        perform identity.refuse('secret_expired');
    end if;
    update vault.secret s set version = rotate.number, changed_at = now() where s.id = rotated.id returning s.* into rotated;
    if overlap_ms > 0 then
        update vault.version v set state = 'former', until = now() + overlap_ms * interval '1 millisecond'
        where v.secret_id = rotated.id and v.state = 'current';
    end if;
    update vault.version v set state = 'ended', sealed = null, until = least(v.until, now())
    where v.secret_id = rotated.id and (v.state = 'current' or (v.state = 'former' and v.until <= now()));
    insert into vault.version (secret_id, number, sealed, created_by)
    values (rotated.id, rotate.number, rotate.sealed, actor);
    perform audit.record(actor, 'secret.rotated', rotated.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('version', rotated.version, 'overlap_ms', overlap_ms));
    perform vault.tell(rotated, 'secret.rotated', actor);
    return vault.secret_json(rotated);
end
$$;
grant execute on function vault.rotate to gather_vault;
