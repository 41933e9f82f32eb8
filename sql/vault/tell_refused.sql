-- Tells the owner of a secret that somebody was refused, at most once a minute: all refusals are among its uses.
create or replace function vault.tell_refused(secret vault.secret, account uuid, component text, origin text,
    reason text) returns void
language plpgsql
as $$
begin
    update vault.secret s set told_refused_at = now()
    where s.id = secret.id and (s.told_refused_at is null or s.told_refused_at < now() - interval '1 minute');
    if found then
        perform vault.tell(secret, 'secret.refused', account,
            jsonb_build_object('component', component, 'origin', left(origin, 300), 'reason', reason));
    end if;
end
$$;
