-- Sends nothing to a webhook any more, and tells its owner why. What waits for it ends when its turn comes.
create or replace function webhooks.disable(w webhooks.webhook, why text) returns void
language plpgsql
as $$
begin
    update webhooks.webhook h set disabled = why where h.id = w.id and h.disabled is null;
    if found then
        perform inbox.notify(array[w.owner_id], 'webhook', 'A webhook was disabled',
            format('%s %s. Enable it again when its receiver is there.', webhooks.place(w.url), case why
                when 'gone' then 'said that it is gone for good (410)'
                else 'has taken nothing for a day' end),
            null, subject => 'webhook:' || w.id);
    end if;
end
$$;
