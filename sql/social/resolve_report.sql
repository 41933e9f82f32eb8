-- Resolves a report, once, and tells the account that made it.
create or replace function social.resolve_report(account uuid, report uuid, resolution text, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r social.report;
begin
    if not social.is_active(account) then
        return social.refused('inactive');
    end if;
    select x.* into r from social.report x where x.id = resolve_report.report for no key update;
    if r.id is null then
        return social.refused('report-not-found');
    elsif r.state <> 'open' then
        return social.refused('report-resolved');
    end if;
    update social.report x set state = 'resolved', resolution = resolve_report.resolution, resolved_by = account,
        resolved_at = clock_timestamp()
    where x.id = r.id returning x.* into r;
    perform audit.record(account, 'report.resolved', r.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('target', r.target, 'resolution', r.resolution));
    perform inbox.notify(array[r.reporter_id], 'moderation', 'A report of yours was looked at',
        coalesce(r.resolution, ''), null, null, null);
    return jsonb_build_object('ok', social.report_json(r, true));
end
$$;
grant execute on function social.resolve_report(uuid, uuid, text, jsonb) to gather_social;
