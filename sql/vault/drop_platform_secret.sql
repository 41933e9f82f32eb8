-- Erases a value of the operator's that is not set any more.
create or replace function vault.drop_platform_secret(id uuid) returns void
language sql
as $$
    update vault.secret s set state = 'deleted', deleted_at = now(), version = s.version + 1, changed_at = now()
    where s.id = drop_platform_secret.id and s.state <> 'deleted';
    update vault.version v set state = 'ended', sealed = null, until = now()
    where v.secret_id = drop_platform_secret.id and v.state <> 'ended';
    delete from vault.binding b where b.secret_id = drop_platform_secret.id
$$;
