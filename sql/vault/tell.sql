-- Tells the owner of a secret what happened to it: without its value, of course, and without its name, which others may
-- not know. The platform's own have nobody to tell.
create or replace function vault.tell(secret vault.secret, type text, actor uuid, detail jsonb default '{}') returns void
language plpgsql
as $$
begin
    if secret.account_id is not null or secret.team_id is not null then
        perform events.emit(
            array[coalesce('account:' || secret.account_id, 'team:' || secret.team_id)], tell.type,
            jsonb_build_object('id', secret.id, 'version', secret.version) || detail,
            subject => 'secret:' || secret.id, actor => actor);
    end if;
end
$$;
