-- Reports something to the moderators. An earlier report of it by the same account that is still open is kept instead.
-- Reports that were resolved half a year ago are deleted.
create or replace function social.report(account uuid, what text, why text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    evidence jsonb;
    made social.report;
begin
    if not social.is_active(account) then
        return social.refused('inactive');
    end if;
    delete from social.report r where r.resolved_at < now() - interval '180 days';
    evidence := social.evidence(account, split_part(what, ':', 1), platform.uuid_of(split_part(what, ':', 2)));
    if evidence is null then
        return social.refused('target-not-found');
    end if;
    insert into social.report as r (target, reporter_id, reason, evidence)
    values (lower(what), account, why, evidence)
    on conflict (reporter_id, target) where state = 'open' do nothing
    returning r.* into made;
    if made.id is not null then
        return jsonb_build_object('ok', jsonb_build_object('is_new', true, 'report', social.report_json(made, false)));
    end if;
    select r.* into made from social.report r
    where r.target = lower(what) and r.reporter_id = account and r.state = 'open';
    return jsonb_build_object('ok', jsonb_build_object('is_new', false, 'report', social.report_json(made, false)));
end
$$;
grant execute on function social.report(uuid, text, text) to gather_social;
