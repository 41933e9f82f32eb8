-- Tells a webhook's owner, once a day, that deliveries never arrived.
create or replace function webhooks.note(w webhooks.webhook) returns void
language plpgsql
as $$
begin
    update webhooks.webhook h set noted_at = clock_timestamp()
    where h.id = w.id and (h.noted_at is null or h.noted_at < clock_timestamp() - interval '1 day');
    if found then
        perform inbox.notify(array[w.owner_id], 'webhook', 'A webhook misses deliveries',
            format('%s did not take some deliveries within a day. They are listed, and can be sent again.',
                webhooks.place(w.url)),
            null, subject => 'webhook:' || w.id);
    end if;
end
$$;
