-- Hands a sealed value over for one request, or says why not. Grant, origin, method, path, expiry and count are checked,
-- and the use is written, in this statement. No row: there is no such secret for the account.
--   component  who asks
--   account    for whom; null: for the platform itself
--   subjects   what acts for the account, if anything does
--   version    which value; null: the current one
--   header     of several headers that it is bound to, this one; null: any
create or replace function vault.take(component text, account uuid, subjects text[], secret uuid, version integer,
    origin text, method text, path text, header text)
returns table (refused text, use_id uuid, number integer, account_id uuid, team_id uuid, name text, place jsonb,
    sealed bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret;
    bound vault.binding;
    taken vault.version;
    subject text;
begin
    select s.* into known from vault.secret s where s.id = take.secret and s.state <> 'deleted';
    if not found then
        return;
    end if;
    select b.* into bound from vault.binding b
    where b.secret_id = known.id and b.component = take.component and b.origin = take.origin
    and (take.header is null or b.header = take.header) order by b.created_at, b.header limit 1;
    if not vault.sees(take.account, known)
        and not exists (select from vault.secret_grant g where g.secret_id = known.id and g.subject = any(take.subjects))
        -- Whoever bound it has checked who may use what it is bound to.
        and bound.secret_id is null then
        return;
    end if;
    select v.* into taken from vault.version v where v.secret_id = known.id and v.state <> 'ended'
    and case when take.version is null then v.state = 'current' else v.number = take.version end
    and (v.until is null or v.until > now());
    if known.state = 'expired' or known.expires_at <= now() or taken.sealed is null then
        refused := 'secret-expired';
    elsif bound.secret_id is not null then
        subject := 'component:' || take.component;
    elsif not vault.allows(known, take.origin, take.method, take.path) then
        refused := 'origin-refused';
    else
        subject := vault.grant_for(known, take.account, take.subjects);
        refused := case when subject is null then 'secret-not-granted' end;
    end if;
    insert into vault.use as u (secret_id, account_id, component, subject, origin, method, path, version, refused)
    values (known.id, take.account, take.component, subject, left(take.origin, 300), left(take.method, 40),
        left(take.path, 2000), taken.number, take.refused)
    returning u.id into use_id;
    number := taken.number;
    if refused is null then
        account_id := known.account_id;
        team_id := known.team_id;
        name := known.name;
        place := coalesce(case when bound.secret_id is not null
            then jsonb_build_object('header', bound.header, 'format', bound.format) end, known.place);
        sealed := taken.sealed;
    else
        perform vault.tell_refused(known, take.account, take.component, take.origin, refused);
    end if;
    return next;
end
$$;
grant execute on function vault.take to gather_egress;
